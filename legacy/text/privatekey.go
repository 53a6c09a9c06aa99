package text

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// KeyWithoutBeginning is the problem of private key text that was found by its END alone.
const KeyWithoutBeginning = "private key without its beginning, not kept"

const (
	// A whole key is looked for this far; the longest in use, RSA of 16,384 bits, is a fifth of it.
	keyBytes = 64 << 10
	// No run of base64 characters this long is in a line that a program wrote for phones or settings, but in every
	// line of key text, even if one of its characters is damaged.
	keyRun = 20
	// What may lie in one piece of a long line and what in the next.
	markLength = 64
)

// lineSource gives physical lines one by one.
type lineSource interface {
	next() (physicalLine, bool, error)
}

// keyFilter puts one line without bytes in the place of private key text: from a line with `BEGIN … PRIVATE KEY` to
// the one with its END. Where the END is missing (another BEGIN comes first, or the file ends) the key is torn, and its
// text ends before the first line that cannot be key text. Where the BEGIN is missing, its text is what can be key text
// right before the END; the end of a BEGIN counts as one.
type keyFilter struct {
	source lineSource
	ahead  []physicalLine
	tail   []byte // end of the piece before, within a long line
	clear  int    // lines ahead of which it is known that they lead to no END
	bare   int    // lines of hex ahead of which it is known that no part of a private key follows them
}

func (f *keyFilter) next() (physicalLine, bool, error) {
	line, ok, err := f.take()
	if !ok || err != nil {
		return line, ok, err
	}
	searched := line.raw
	if line.continued {
		searched = append(f.tail, line.raw...)
	}
	f.tail = nil
	if line.overlong {
		f.tail = bytes.Clone(searched[max(0, len(searched)-markLength):])
	}
	if !line.continued {
		if part, found, err := f.hexDump(line); found || err != nil {
			return part, found, err
		}
	}
	switch begun, closed := keyMarks(searched); {
	case !begun && isBeginRest(line.raw):
		return f.open(line)
	case !begun:
		return f.headless(line)
	case closed:
		return f.withhold(line, 0, "private key, not kept")
	default:
		return f.open(line)
	}
}

// headless withholds the line and those after it if they are the rest of a key that has an END and no BEGIN.
func (f *keyFilter) headless(line physicalLine) (physicalLine, bool, error) {
	if f.clear > 0 {
		f.clear--
		return f.bareKey(line)
	}
	switch {
	case !hasKeyRun(line.raw) || hasBegin(line.raw):
		return line, true, nil
	case isKeyEnd(line.raw):
		return f.withhold(line, 0, KeyWithoutBeginning)
	}
	more, size := 0, int64(0)
	for ; size < keyBytes; more++ {
		ahead, ok, err := f.peek(more)
		if err != nil {
			return physicalLine{}, false, err
		}
		if !ok || hasBegin(ahead.raw) {
			break
		}
		if isKeyEnd(ahead.raw) {
			return f.withhold(line, more+1, KeyWithoutBeginning)
		}
		if !isKeyText(ahead.raw) {
			break
		}
		size += ahead.size
	}
	f.clear = more
	return f.bareKey(line)
}

func (f *keyFilter) take() (physicalLine, bool, error) {
	if len(f.ahead) > 0 {
		line := f.ahead[0]
		f.ahead = f.ahead[1:]
		return line, true, nil
	}
	return f.source.next()
}

// peek gives a line further on without taking it.
func (f *keyFilter) peek(index int) (physicalLine, bool, error) {
	for len(f.ahead) <= index {
		line, ok, err := f.source.next()
		if !ok || err != nil {
			return line, ok, err
		}
		f.ahead = append(f.ahead, line)
	}
	return f.ahead[index], true, nil
}

// open decides how far the text of a key reaches that begins on the line given.
func (f *keyFilter) open(begin physicalLine) (physicalLine, bool, error) {
	size := int64(0)
	for more := 0; size < keyBytes; more++ {
		line, ok, err := f.peek(more)
		if err != nil {
			return physicalLine{}, false, err
		}
		if !ok || hasBegin(line.raw) {
			break
		}
		if isKeyEnd(line.raw) {
			return f.withhold(begin, more+1, "private key, not kept")
		}
		size += line.size
	}
	return f.withholdTorn(begin)
}

// withhold joins the line and the given number of lines after it.
func (f *keyFilter) withhold(begin physicalLine, more int, problem string) (physicalLine, bool, error) {
	joined := newKeyText(begin)
	for range more {
		line, _, err := f.take()
		if err != nil {
			return physicalLine{}, false, err
		}
		joined.add(line)
	}
	return joined.end(problem), true, nil
}

func (f *keyFilter) withholdTorn(begin physicalLine) (physicalLine, bool, error) {
	joined := newKeyText(begin)
	header := true
	for {
		line, ok, err := f.peek(0)
		if err != nil {
			return physicalLine{}, false, err
		}
		inside := line.continued || isKeyText(line.raw) || header && isKeyHeader(line.raw)
		if !ok || !inside || hasBegin(line.raw) {
			break
		}
		header = header && isKeyHeader(line.raw)
		joined.add(line)
		f.ahead = f.ahead[1:]
	}
	return joined.end("private key without its end, not kept"), true, nil
}

// keyText gathers the place and the digest of lines whose bytes are dropped.
type keyText struct {
	line physicalLine
	hash hash.Hash
}

func newKeyText(begin physicalLine) *keyText {
	joined := &keyText{line: begin, hash: sha256.New()}
	joined.hash.Write(begin.raw)
	joined.line.raw = nil
	return joined
}

func (k *keyText) add(line physicalLine) {
	k.hash.Write(line.raw)
	k.line.size += line.size
	k.line.count += line.count
	k.line.last, k.line.ended = line.last, line.ended
}

func (k *keyText) end(problem string) physicalLine {
	k.line.privateKey, k.line.problem = true, problem
	k.hash.Sum(k.line.digest[:0])
	return k.line
}

// plain takes the NULs out, so that marks are found in UTF-16 as well.
func plain(raw []byte) []byte {
	if bytes.IndexByte(raw, 0) < 0 {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte{0}, nil)
}

// keyMarks tells whether a `BEGIN … PRIVATE KEY` is in the line, and whether the last one is closed in the same line.
func keyMarks(raw []byte) (begun, closed bool) {
	raw = plain(raw)
	key := lastFold(raw, "private key")
	if key < 0 {
		return false, false
	}
	begin := lastFold(raw[:key], "begin")
	if begin < 0 {
		return false, false
	}
	return true, lastFold(raw[begin:key], "end ") >= 0
}

func isKeyEnd(raw []byte) bool {
	raw = plain(raw)
	key := lastFold(raw, "private key")
	if key < 0 {
		return false
	}
	end := lastFold(raw[:key], "end ")
	return end >= 0 && end > lastFold(raw[:key], "begin")
}

// hasBegin tells whether a PEM block of any kind begins on the line.
func hasBegin(raw []byte) bool {
	key, _ := keyMarks(raw)
	return key || lastFold(plain(raw), "-----begin") >= 0
}

// lastFold is bytes.LastIndex for a lower-case ASCII text in any case; it allocates nothing, since every line of every
// file goes through it.
func lastFold(raw []byte, lower string) int {
	for i := len(raw) - len(lower); i >= 0; i-- {
		if raw[i]|0x20 == lower[0]|0x20 && equalFold(raw[i:], lower) {
			return i
		}
	}
	return -1
}

func equalFold(raw []byte, lower string) bool {
	for j := range len(lower) {
		b := raw[j]
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[j] {
			return false
		}
	}
	return true
}

func isBase64(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '+' || b == '/'
}

// isKeyText tells whether a line may be the body of a key: nothing but base64 and what damage makes of it, or a run of
// base64 too long for anything else.
func isKeyText(raw []byte) bool {
	if hasKeyRun(raw) {
		return true
	}
	for _, b := range bytes.Trim(plain(raw), " \t\r\n=") {
		if !isBase64(b) && (b >= ' ' || b == '\t') && b < 0x7f {
			return false
		}
	}
	return true
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

// isBeginRest tells whether a line is what is left of a torn `BEGIN … PRIVATE KEY`.
func isBeginRest(raw []byte) bool {
	const mark = "private key-----"
	raw = bytes.TrimSpace(plain(raw))
	return len(raw) <= markLength && len(raw) >= len(mark) && equalFold(raw[len(raw)-len(mark):], mark) && !isKeyEnd(raw)
}

// isKeyHeader knows the lines that stand between BEGIN and body in encrypted keys (RFC 1421) and in PGP's.
func isKeyHeader(raw []byte) bool {
	raw = bytes.TrimSpace(plain(raw))
	for _, name := range []string{"proc-type:", "dek-info:", "version:", "comment:", "hash:", "charset:"} {
		if len(raw) >= len(name) && equalFold(raw, name) {
			return true
		}
	}
	return false
}
