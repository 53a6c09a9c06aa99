package text

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const overlongProblem = "line is longer than 65536 bytes"

// physical cuts a file into lines. They end at LF (with any CR before it); in a file whose beginning has CRs and no LF,
// at CR.
type physical struct {
	file   string
	closer io.Closer
	reader *bufio.Reader
	marked Encoding // by a byte-order mark
	low    int      // index of the low byte of a UTF-16 unit; -1 for one byte a character
	end    byte

	number int
	offset int64
	within bool // in a line that is too long
}

// newPhysical reads content until it is closed.
func newPhysical(file string, content io.ReadCloser, encoding Encoding) *physical {
	p := &physical{file: file, closer: content, reader: bufio.NewReaderSize(content, MaxLine), low: -1, end: '\n'}
	marked, length := MarkOf(p.sample())
	p.marked = marked
	// The length was peeked, so it can be taken.
	_, _ = p.reader.Discard(length)
	p.offset = int64(length)
	switch encoding {
	case UTF16LE:
		p.low = 0
	case UTF16BE:
		p.low = 1
	}
	if sample := p.sample(); bytes.IndexByte(sample, '\n') < 0 && bytes.IndexByte(sample, '\r') >= 0 {
		p.end = '\r'
	}
	return p
}

// sample is the beginning of what is left; a failure to read shows when lines are read.
func (p *physical) sample() []byte {
	sample, _ := p.reader.Peek(MaxLine)
	return sample
}

// next gives the next line; false at the end of the file.
func (p *physical) next() (Line, bool, error) {
	raw, ended, err := p.cut()
	if err != nil {
		return Line{}, false, fmt.Errorf("%s: reading at byte %d: %w", p.file, p.offset, err)
	}
	if len(raw) == 0 {
		return Line{}, false, nil
	}
	line := Line{Number: p.number, Offset: p.offset, Size: int64(len(raw)), Raw: raw, continued: p.within, overlong: p.within}
	if !p.within {
		p.number++
		line.Number, line.Count = p.number, 1
	}
	p.offset += line.Size
	line.last = p.atEnd()
	p.within, line.Torn = !ended && !line.last, !ended && line.last
	line.overlong = line.overlong || p.within
	return line, true, nil
}

func (p *physical) atEnd() bool {
	_, err := p.reader.Peek(1)
	return errors.Is(err, io.EOF)
}

// cut takes bytes up to and with a line end, at most MaxLine of them.
func (p *physical) cut() (raw []byte, ended bool, err error) {
	if p.low >= 0 {
		return p.cutWide()
	}
	piece, err := p.reader.ReadSlice(p.end)
	switch {
	case err == nil:
		return bytes.Clone(piece), true, nil
	case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
		return bytes.Clone(piece), false, nil
	default:
		return nil, false, err
	}
}

func (p *physical) cutWide() (raw []byte, ended bool, err error) {
	for len(raw) < MaxLine {
		b, err := p.reader.ReadByte()
		if errors.Is(err, io.EOF) {
			return raw, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		raw = append(raw, b)
		if n := len(raw); n%2 == 0 && raw[n-2+p.low] == p.end && raw[n-1-p.low] == 0 {
			return raw, true, nil
		}
	}
	return raw, false, nil
}
