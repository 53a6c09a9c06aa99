package migrate

import (
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
)

// endedOperation finds the operation in the word for the state of a record whose operation is none any more, as in
// "Delete Failed" (B6). The reader gives the state alone, so the word is looked for among the values of the record.
// Empty: no value says.
func endedOperation(from *phonefile.Record, by *dialect.Dialect) legacy.Operation {
	// The words are ASCII, so UTF-16 needs no more than this to be looked through.
	text := string(from.Bytes)
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "")
	}
	for line := range strings.Lines(text) {
		for _, value := range valuesOf(line, by) {
			if state, ok := by.State(value); !ok || state != from.State {
				continue
			}
			if operation := operationIn(legacy.Normalise(value), by); operation != "" {
				return operation
			}
		}
	}
	return ""
}

// valuesOf cuts a line in every way that the dialect knows.
func valuesOf(line string, by *dialect.Dialect) []string {
	line = strings.TrimRight(line, "\r\n\x1a")
	if by.Form == dialect.Blocks {
		if _, value, problem := by.CutPair(line); problem == "" {
			return []string{value}
		}
		return nil
	}
	values := make([]string, 0, 16)
	for _, separator := range by.Separators {
		if strings.IndexByte(line, separator[0]) < 0 {
			continue
		}
		if row, problem := by.CutRow(make([]string, 0, 16), line, separator[0]); problem == "" {
			values = append(values, row...)
		}
	}
	return values
}

// operationIn finds a word for an operation at the beginning or the end of a normalised word, the longest first.
func operationIn(word string, by *dialect.Dialect) legacy.Operation {
	for length := len(word) - 1; length > 1; length-- {
		for _, part := range []string{word[:length], word[len(word)-length:]} {
			if operation, ok := by.Operation(part); ok && operation != legacy.OperationNone {
				return operation
			}
		}
	}
	return ""
}
