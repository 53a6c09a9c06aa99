package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"capf/legacy"
)

// Found is an encoding and what it was found by.
type Found struct {
	Encoding Encoding
	// First is the first line that is not ASCII, Lines how many there are; 0 where a byte-order mark tells.
	First, Lines int
}

// Note says for a person what is not certain about it; empty where nothing is: a mark, UTF-8, or ASCII alone.
func (f Found) Note() string {
	const advice = "; if names look wrong, name the encoding in a dialect"
	switch {
	case f.Lines == 0 || f.Encoding == UTF8:
		return ""
	case f.Encoding == Windows1252:
		return fmt.Sprintf("lines that are not ASCII (%d, the first is %d) are read as windows-1252, since the pages of one byte a character cannot be told apart%s",
			f.Lines, f.First, advice)
	default:
		return fmt.Sprintf("lines that are not ASCII (%d, the first is %d) are read as %s, the only page in which they look like text%s",
			f.Lines, f.First, f.Encoding, advice)
	}
}

// UnclearError says that the encoding of a file cannot be found, so that a dialect must name it.
type UnclearError struct {
	Position legacy.Position // the first line that does not tell
	Reason   string
	// Fitting are the encodings that the file may be in, as far as that can be told.
	Fitting []Encoding
}

// Error gives place, reason and what to do.
func (e *UnclearError) Error() string {
	return fmt.Sprintf("%s: encoding is not clear: %s: name it in a dialect (`capf migrate dialect` prints one to begin with)", e.Position, e.Reason)
}

// Find finds the encoding of a file by reading it through: by its byte-order mark; else UTF-8 where nine in ten of the
// lines that are not plain ASCII are valid UTF-8, if there are any. Otherwise it is the one Windows page in which nine in
// ten of them look like text (see judgement): CP932, CP936, CP949 or CP950; or CP1252 for text in any Latin script, where
// nine in ten are no UTF-8. Its Note tells of that. Where no page fits, or more than one, and for what looks like UTF-16
// without a mark, it is an *UnclearError.
func Find(input legacy.Input) (Found, error) {
	file, err := input.Open()
	if err != nil {
		return Found{}, err
	}
	physical := newPhysical(input.File, file, "")
	defer physical.closer.Close()
	if marked := physical.marked; marked != "" {
		return Found{Encoding: marked}, nil
	}
	if wide := looksWide(physical.sample()); wide != "" {
		return Found{}, &UnclearError{legacy.Position{File: input.File}, "looks like UTF-16 without a byte-order mark", []Encoding{wide}}
	}
	return judgeLines(physical, input.File)
}

// FindUnless is Find where no encoding is named.
func FindUnless(named Encoding, input legacy.Input) (Found, error) {
	if named != "" {
		return Found{Encoding: named}, nil
	}
	return Find(input)
}

func judgeLines(physical *physical, file string) (Found, error) {
	var counted counts
	judges := newJudgements()
	for {
		line, ok, err := physical.next()
		if err != nil {
			return Found{}, err
		}
		if !ok {
			break
		}
		if isASCII(line.Raw) || line.overlong {
			continue
		}
		if counted.first == 0 {
			counted.first = line.Number
		}
		if utf8.Valid(line.Raw) {
			counted.valid++
			// Characters of three or four bytes; those of two may as well be one of a Windows page.
			if slices.ContainsFunc(line.Raw, func(b byte) bool { return b >= 0xe0 }) {
				continue
			}
		} else if counted.invalid++; counted.invalid == 1 {
			counted.firstInvalid = line.Number
		}
		for _, judge := range judges {
			judge.add(trimEnd(line.Raw))
		}
	}
	return choosePage(judges, counted, file)
}

// counts are the lines that are not ASCII, by whether they are valid UTF-8.
type counts struct{ valid, invalid, first, firstInvalid int }

// choosePage takes UTF-8, or the one page that fits.
func choosePage(judges []*judgement, counted counts, file string) (Found, error) {
	all := counted.valid + counted.invalid
	found := Found{First: counted.first, Lines: all}
	if counted.valid*10 >= all*9 {
		found.Encoding = UTF8
		return found, nil
	}
	unclear := &UnclearError{Position: legacy.Position{File: file, Line: counted.firstInvalid}}
	var names []string
	for _, judge := range judges {
		// Text of a Latin page is hardly ever valid UTF-8 by chance.
		if judge.fits(all) && (judge.page != Windows1252 || counted.invalid*10 >= all*9) {
			unclear.Fitting = append(unclear.Fitting, judge.page)
			names = append(names, string(judge.page))
		}
	}
	switch {
	case len(names) == 1:
		found.Encoding = unclear.Fitting[0]
		return found, nil
	case len(names) > 1:
		unclear.Reason = fmt.Sprintf("lines that are not ASCII (%d) look like text in %s", all, strings.Join(names, " and in "))
	case counted.valid*10 >= all:
		unclear.Reason = fmt.Sprintf("%d lines are UTF-8, %d are not", counted.valid, counted.invalid)
	default:
		unclear.Reason = fmt.Sprintf("lines that are not UTF-8 (%d) look like text in no page that can be told by that", counted.invalid)
	}
	if len(names) == 0 {
		unclear.Fitting = hardToTell
	}
	return Found{}, unclear
}

// hardToTell are the pages that are never found, those that text seldom looks like one of the others in first.
var hardToTell = []Encoding{
	Windows1251, Windows1253, Windows1255, Windows1256, Windows874, Windows1250, Windows1254, Windows1257, Windows1258,
	Windows932, Windows936, Windows949, Windows950,
}

func isASCII(raw []byte) bool {
	return !slices.ContainsFunc(raw, func(b byte) bool { return b >= utf8.RuneSelf })
}

// looksWide tells which UTF-16 it looks like where every other byte of the start is NUL, as in Latin text.
func looksWide(sample []byte) Encoding {
	sample = sample[:min(len(sample), 1024)]
	var nuls [2]int
	for i, b := range sample {
		if b == 0 {
			nuls[i%2]++
		}
	}
	switch {
	case len(sample) < 8 || max(nuls[0], nuls[1])*10 < len(sample)*4 || min(nuls[0], nuls[1])*20 >= len(sample):
		return ""
	case nuls[0] > nuls[1]:
		return UTF16BE
	default:
		return UTF16LE
	}
}
