package text

// The double-byte pages overlap almost wholly in the pairs of bytes that they define, and a page of one byte a
// character takes nearly every byte. So a page is judged by what its text looks like: by the ranges that the words of
// its language lie in. They are those of the standards under the pages: JIS X 0208, GB 2312, KS X 1001 and Big5, each of
// which has the characters in daily use in a first level and the rare ones in a second.

// judgement is what one page makes of the lines that are not UTF-8.
type judgement struct {
	page     Encoding
	look     func(line []byte, seen *letters) (plausible bool)
	lines    int // that look like text of the page
	letters  letters
	evidence func(letters) bool // more that the letters of all lines must show
}

// letters counts the double-byte letters: those in daily use, and those that tell the page from its neighbour.
type letters struct{ all, common, telling int }

// fewestLetters is how many letters a double-byte page is not found without. It is more for Hangul, which are known by
// what is missing: half of the Chinese words of two characters lie where Hangul lie.
const (
	fewestLetters = 4
	fewestHangul  = 16
)

func newJudgements() []*judgement {
	return []*judgement{
		{page: Windows1252, look: looksLatin},
		{page: Windows932, look: pairs(japaneseLetter).look, evidence: common},
		// Hangul lies where GB 2312 has half of its first level, and in no other part of it.
		{page: Windows936, look: pairs(chineseLetter).look, evidence: func(l letters) bool { return common(l) && l.telling*10 >= l.all }},
		{page: Windows949, look: pairs(koreanLetter).look, evidence: func(l letters) bool { return common(l) && l.all >= fewestHangul }},
		// Of GB 2312 and of Hangul no second byte is below 0xA1; of Big5 two in five are.
		{page: Windows950, look: pairs(taiwaneseLetter).look, evidence: func(l letters) bool { return common(l) && l.telling*10 >= l.all }},
	}
}

func common(l letters) bool { return l.all >= fewestLetters && l.common*10 >= l.all*9 }

func (j *judgement) add(line []byte) {
	var seen letters
	if j.look(line, &seen) {
		j.lines++
	}
	j.letters.all += seen.all
	j.letters.common += seen.common
	j.letters.telling += seen.telling
}

// fits tells whether at least nine lines in ten look like text of the page.
func (j *judgement) fits(lines int) bool {
	return j.lines*10 >= lines*9 && (j.evidence == nil || j.evidence(j.letters))
}

// looksLatin tells text of a Latin script in CP1252: letters with accents among plain ones, at most two in a row, at
// most three with signs among them, and no sign where a letter should be.
func looksLatin(line []byte, _ *letters) bool {
	run, high := 0, 0
	for i, b := range line {
		if high++; b < 0x80 {
			high = 0
		}
		switch {
		case high > 3:
			return false
		case b < 0x80:
			run = 0
		case isAccented(b):
			if run++; run > 2 {
				return false
			}
		case b == 0x81 || b == 0x83 || b == 0x8d || b == 0x8f || b == 0x90 || b == 0x9d: // not defined, but for 0x83
			return false
		default:
			run = 0
			if i > 0 && isLetter(line[i-1]) && i+1 < len(line) && isLower(line[i+1]) && !joinsLetters(b) {
				return false
			}
		}
	}
	return true
}

// isAccented knows the letters of CP1252 beyond ASCII.
func isAccented(b byte) bool {
	switch b {
	case 0x8a, 0x8c, 0x8e, 0x9a, 0x9c, 0x9e, 0x9f:
		return true
	}
	return b >= 0xc0 && b != 0xd7 && b != 0xf7
}

// joinsLetters knows the signs of CP1252 that stand within words: apostrophes, dashes, the Catalan dot, ordinals.
func joinsLetters(b byte) bool {
	switch b {
	case 0x91, 0x92, 0x96, 0x97, 0xaa, 0xad, 0xb4, 0xb7, 0xba:
		return true
	}
	return false
}

func isLower(b byte) bool  { return b >= 'a' && b <= 'z' }
func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' || isAccented(b) }

// class is what a pair of bytes, or a byte alone where the second is 0, is in a page.
type class int

const (
	nothing class = iota // not defined, or in no text of the language
	sign                 // punctuation, figures, Latin letters of full width
	rare                 // a letter of the second level or beyond
	daily                // a letter of the first level
	telling              // one of those that the neighbour does not have
	alone                // a letter of one byte
)

// pairs judges by the class of each character.
type pairs func(lead, trail byte) class

// look tells whether all characters are defined and no letter stands beside a lower-case one of ASCII, as it does where
// a Latin page is read as this one.
func (p pairs) look(line []byte, seen *letters) bool {
	small := false // the character before is a lower-case letter
	for i := 0; i < len(line); i++ {
		if line[i] < 0x80 {
			small = isLower(line[i])
			continue
		}
		before := small
		small = false
		start, trail := i, byte(0)
		kind := p(line[i], 0)
		if kind != alone {
			if i++; i == len(line) {
				return false
			}
			trail = line[i]
			kind = p(line[start], trail)
		}
		switch kind {
		case nothing:
			return false
		case sign:
			continue
		case telling:
			seen.telling++
			seen.common++
		case daily:
			seen.common++
		}
		if kind != alone {
			seen.all++
		}
		if before || i+1 < len(line) && isLower(line[i+1]) {
			return false
		}
	}
	return true
}

// japaneseLetter knows the parts of CP932: kana and level 1 of JIS X 0208 are in daily use.
func japaneseLetter(lead, trail byte) class {
	if trail == 0 {
		if lead >= 0xa6 && lead <= 0xdf {
			return alone
		}
		if lead >= 0xa1 && lead <= 0xa5 {
			return alone // half-width punctuation
		}
		return nothing
	}
	if trail < 0x40 || trail == 0x7f || trail > 0xfc {
		return nothing
	}
	switch code := int(lead)<<8 | int(trail); {
	case code >= 0x829f && code <= 0x82f1, code >= 0x8340 && code <= 0x8396, code >= 0x889f && code <= 0x9872:
		return daily
	case code >= 0x8140 && code <= 0x8491, code >= 0x8740 && code <= 0x879c:
		return sign
	case code >= 0x989f && code <= 0xeaa4, code >= 0xed40 && code <= 0xeefc, code >= 0xfa40 && code <= 0xfc4b:
		return rare
	}
	return nothing
}

// chineseLetter knows the parts of CP936: level 1 of GB 2312 is in daily use, what GBK added is rare.
func chineseLetter(lead, trail byte) class {
	switch {
	case trail < 0x40 || trail == 0x7f || trail == 0xff || lead < 0x81 || lead == 0xff:
		return nothing
	case trail < 0xa1 || lead < 0xa1:
		return rare
	case lead <= 0xa9:
		return sign
	case lead >= 0xb0 && lead <= 0xc8:
		return daily
	case lead > 0xc8 && lead <= 0xd7:
		return telling
	case lead > 0xd7 && lead <= 0xf7:
		return rare
	}
	return nothing
}

// koreanLetter knows the parts of CP949: the Hangul of KS X 1001 are in daily use; those beyond, and Hanja, are rare.
func koreanLetter(lead, trail byte) class {
	beyond := trail >= 'A' && trail <= 'Z' || trail >= 'a' && trail <= 'z' || trail >= 0x81 && trail <= 0xfe
	switch {
	case !beyond || lead < 0x81 || lead == 0xff:
		return nothing
	case trail >= 0xa1 && lead >= 0xa1 && lead <= 0xac:
		return sign
	case trail >= 0xa1 && lead >= 0xb0 && lead <= 0xc8:
		return daily
	case lead <= 0xc6 && (trail < 0xa1 || lead < 0xa1), trail >= 0xa1 && lead >= 0xca && lead <= 0xfd:
		return rare
	}
	return nothing
}

// taiwaneseLetter knows the parts of CP950: level 1 of Big5 is in daily use.
func taiwaneseLetter(lead, trail byte) class {
	low := trail >= 0x40 && trail <= 0x7e
	switch {
	case !low && (trail < 0xa1 || trail == 0xff):
		return nothing
	case lead >= 0xa1 && lead <= 0xa3:
		return sign
	case lead >= 0xa4 && lead <= 0xc5 || lead == 0xc6 && low:
		if low {
			return telling
		}
		return daily
	case lead >= 0xc9 && lead <= 0xf9:
		return rare
	}
	return nothing
}
