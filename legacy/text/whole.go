package text

import (
	"bytes"
	"fmt"
)

// AsUTF8 gives a whole file that an administrator has written, in UTF-8 and without its byte-order mark: Windows editors
// put one before UTF-8, and save as UTF-16 what they call Unicode. Without a mark of UTF-16 the content stays as it is.
// The error says, with the line, what is no UTF-16.
func AsUTF8(content []byte) ([]byte, error) {
	encoding, length := MarkOf(content)
	if content = content[length:]; encoding != UTF16LE && encoding != UTF16BE {
		return content, nil
	}
	low := 0
	if encoding == UTF16BE {
		low = 1
	}
	out := make([]byte, 0, len(content)/2)
	for number := 1; len(content) > 0; number++ {
		line := content[:wideLine(content, low)]
		content = content[len(line):]
		text, problem := decodeWide(line, low)
		if problem != "" {
			return nil, fmt.Errorf("line %d: %s: save the file as UTF-8", number, problem)
		}
		out = append(out, text...)
		if isWideEnd(line, low) {
			out = append(out, '\n')
		}
	}
	return bytes.TrimRight(out, endMark), nil
}

// wideLine is the length of the first line in bytes, its end included.
func wideLine(content []byte, low int) int {
	for at := 2; at <= len(content); at += 2 {
		if isWideEnd(content[:at], low) {
			return at
		}
	}
	return len(content)
}

// isWideEnd tells whether a line of UTF-16 ends with its line feed.
func isWideEnd(line []byte, low int) bool {
	at := len(line) - 2
	return at >= 0 && at%2 == 0 && line[at+low] == '\n' && line[at+1-low] == 0
}
