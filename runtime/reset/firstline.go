package reset

import (
	"strings"

	"capf/internal/plain"
)

const maxLine = 160 // bytes

// firstLine keeps the first line of what is written to it that is not empty, up to a bound, and forgets the
// rest. It is written to by one goroutine.
type firstLine struct {
	kept []byte
	done bool
}

// Write never fails, so that a command which says much is not disturbed.
func (f *firstLine) Write(text []byte) (int, error) {
	for _, b := range text {
		if f.done {
			break
		}
		isEnd := b == '\n' || b == '\r'
		if !isEnd {
			f.kept = append(f.kept, b)
		}
		f.done = isEnd && strings.TrimSpace(string(f.kept)) != "" || len(f.kept) >= maxLine
	}
	return len(text), nil
}

// String gives the line without anything that a terminal or a log would take for more than text.
func (f *firstLine) String() string {
	return strings.TrimSpace(plain.Line(string(f.kept)))
}
