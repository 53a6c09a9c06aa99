package text

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"capf/legacy"
)

// Problems of private key text.
const (
	wholeKey   = "private key, not kept"
	keyNoEnd   = "private key without its end, not kept"
	keyNoBegin = "private key without its beginning, not kept"
)

const (
	// A whole key is looked for this far; the longest in use, RSA of 16,384 bits, is a fifth of it.
	keyBytes = 64 << 10
	// No run of base64 characters this long is in a line that a program wrote for phones or settings, but in every
	// line of key text, even if one of its characters is damaged.
	keyRun = 20
	// What may lie in one piece of a long line and what in the next.
	markLength = 64
)

// HasPrivateKey tells whether content in memory has the text of a private key in it, whole or torn.
func HasPrivateKey(content []byte) bool {
	if !bytes.Contains(bytes.ToLower(plain(content)), []byte("private key")) {
		return false // most content
	}
	encoding, _ := MarkOf(content)
	// Bytes in memory do not fail to be read, and the encoding is the one that their mark tells.
	for line := range Lines(legacy.BytesInput("", content), encoding) {
		if line.PrivateKey {
			return true
		}
	}
	return false
}

// keyFilter puts one line without bytes in the place of private key text: from a line with `BEGIN … PRIVATE KEY` to
// the one with its END. Where the END is missing (another BEGIN comes first, or the file ends) the key is torn, and its
// text ends before the first line that cannot be key text. Where the BEGIN is missing, its text is what can be key text
// right before the END; the end of a BEGIN counts as one.
type keyFilter struct {
	physical *physical
	ahead    []Line
	tail     []byte // end of the piece before, within a long line
	clear    int    // lines ahead of which it is known that they lead to no END
}

func (f *keyFilter) next() (Line, bool, error) {
	line, ok, err := f.take()
	if !ok || err != nil {
		return line, ok, err
	}
	searched := line.Raw
	if line.continued {
		searched = append(f.tail, line.Raw...)
	}
	f.tail = nil
	if line.overlong {
		f.tail = bytes.Clone(searched[max(0, len(searched)-markLength):])
	}
	switch found := marksOf(searched); {
	case found.keyBegin && found.keyEnd:
		return f.withhold(line, wholeKey, count(0))
	case found.keyBegin:
		return f.begin(line)
	case found.keyEnd && hasKeyRun(line.Raw):
		return f.withhold(line, keyNoBegin, count(0))
	case found.keyEnd || found.begin:
		return line, true, nil
	default:
		return f.headless(line)
	}
}

// begin withholds a key that begins on the line, whole or torn.
func (f *keyFilter) begin(line Line) (Line, bool, error) {
	more, ended, err := f.untilEnd(func([]byte) bool { return true })
	if err != nil {
		return Line{}, false, err
	}
	if ended {
		return f.withhold(line, wholeKey, count(more))
	}
	header := true
	return f.withhold(line, keyNoEnd, func(next Line) bool {
		header = header && isKeyHeader(next.Raw)
		return !marksOf(next.Raw).begin && (next.continued || header || isKeyText(next.Raw))
	})
}

// headless withholds the line and those after it if they are the rest of a key that has an END and no BEGIN. It begins
// with a line that is key text for sure, or with a short one right before such a line or the END.
func (f *keyFilter) headless(line Line) (Line, bool, error) {
	if f.clear > 0 {
		f.clear--
		return line, true, nil
	}
	if !hasKeyRun(line.Raw) {
		if !isShortText(line.Raw) {
			return line, true, nil
		}
		next, ok, err := f.peek(0)
		if err != nil || !ok || !hasKeyRun(next.Raw) && !marksOf(next.Raw).keyEnd {
			return line, err == nil, err
		}
	}
	more, ended, err := f.untilEnd(isKeyText)
	if err != nil {
		return Line{}, false, err
	}
	if ended {
		return f.withhold(line, keyNoBegin, count(more))
	}
	f.clear = more
	return line, true, nil
}

// untilEnd counts the lines ahead up to the END of a key, or to the first that is not inside of one.
func (f *keyFilter) untilEnd(inside func(raw []byte) bool) (more int, ended bool, err error) {
	for size := int64(0); size < keyBytes; more++ {
		line, ok, err := f.peek(more)
		if err != nil || !ok {
			return more, false, err
		}
		switch found := marksOf(line.Raw); {
		case found.begin:
			return more, false, nil
		case found.keyEnd:
			return more + 1, true, nil
		case !inside(line.Raw):
			return more, false, nil
		}
		size += line.Size
	}
	return more, false, nil
}

func (f *keyFilter) take() (Line, bool, error) {
	line, ok, err := f.peek(0)
	if ok && err == nil {
		f.ahead = f.ahead[1:]
	}
	return line, ok, err
}

// peek gives a line further on without taking it.
func (f *keyFilter) peek(index int) (Line, bool, error) {
	for len(f.ahead) <= index {
		line, ok, err := f.physical.next()
		if !ok || err != nil {
			return line, ok, err
		}
		f.ahead = append(f.ahead, line)
	}
	return f.ahead[index], true, nil
}

// withhold drops the bytes of the line and of those after it that belong to the same key, and keeps their place and
// their digest.
func (f *keyFilter) withhold(joined Line, problem string, belongs func(Line) bool) (Line, bool, error) {
	digest := sha256.New()
	digest.Write(joined.Raw)
	for {
		line, ok, err := f.peek(0)
		if err != nil {
			return Line{}, false, err
		}
		if !ok || !belongs(line) {
			break
		}
		f.ahead = f.ahead[1:]
		digest.Write(line.Raw)
		joined.Size += line.Size
		joined.Count += line.Count
		joined.last, joined.Torn = line.last, line.Torn
	}
	joined.Raw, joined.PrivateKey, joined.Problem = nil, true, problem
	digest.Sum(joined.SHA256[:0])
	return joined, true, nil
}

// count lets that number of lines belong to a key.
func count(more int) func(Line) bool {
	return func(Line) bool {
		more--
		return more >= 0
	}
}

// plain takes the NULs out, so that marks are found in UTF-16 as well.
func plain(raw []byte) []byte {
	if bytes.IndexByte(raw, 0) < 0 {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte{0}, nil)
}

// keyMarks are what a line has of the marks of PEM.
type keyMarks struct {
	begin    bool // the BEGIN of a block of any kind
	keyBegin bool // of a private key, or the rest of one that was torn
	keyEnd   bool // the END of a private key, and no BEGIN behind it
}

func marksOf(raw []byte) (out keyMarks) {
	text := bytes.ToLower(plain(raw))
	out.begin = bytes.Contains(text, []byte("-----begin"))
	key := bytes.LastIndex(text, []byte("private key"))
	if key < 0 {
		return out
	}
	begin, end, rest := bytes.LastIndex(text[:key], []byte("begin")), bytes.LastIndex(text[:key], []byte("end ")), bytes.TrimSpace(text)
	out.keyEnd = end > begin
	out.keyBegin = begin >= 0 || !out.keyEnd && len(rest) <= markLength && bytes.HasSuffix(rest, []byte("private key-----"))
	out.begin = out.begin || begin >= 0
	return out
}

// bodyOf is a line without what may stand around key text: white space, padding, the mark of a comment.
func bodyOf(raw []byte) []byte {
	return bytes.TrimRight(bytes.TrimLeft(plain(raw), " \t\r\n#;/*!%'"), " \t\r\n=")
}

// isKeyHeader knows the lines that stand between BEGIN and body in encrypted keys (RFC 1421) and in PGP's.
func isKeyHeader(raw []byte) bool {
	name, _, _ := bytes.Cut(bytes.ToLower(bodyOf(raw)), []byte(":"))
	return slices.Contains([]string{"proc-type", "dek-info", "version", "comment", "hash", "charset"}, string(name))
}

// isKeyText tells whether a line may be the body of a key: nothing but base64 and what damage makes of it, or a run of
// base64 too long for anything else.
func isKeyText(raw []byte) bool {
	isDamage := func(b byte) bool { return b < ' ' && b != '\t' || b >= 0x7f }
	return hasKeyRun(raw) || !slices.ContainsFunc(bodyOf(raw), func(b byte) bool { return !isBase64(b) && !isDamage(b) })
}

// isShortText tells whether a line may be the first of a key that was torn within it, or its last: base64 alone.
func isShortText(raw []byte) bool {
	const shortest = 4
	body := bodyOf(raw)
	return len(body) >= shortest && !slices.ContainsFunc(body, func(b byte) bool { return !isBase64(b) })
}

// hasKeyRun tells whether a line has a run of base64 too long for anything but a key.
func hasKeyRun(raw []byte) bool {
	run := 0
	for _, b := range plain(raw) {
		if !isBase64(b) {
			run = 0
		} else if run++; run >= keyRun {
			return true
		}
	}
	return false
}

func isBase64(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '+' || b == '/'
}
