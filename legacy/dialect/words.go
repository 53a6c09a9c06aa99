package dialect

import (
	"fmt"

	"capf/legacy"
)

// Words is one row of a table: a meaning, and the words that stand for it.
type Words struct {
	Meaning string
	Words   []string
}

// wordTable finds what a word means, comparing letters and digits only, in any case.
type wordTable[T ~string] map[string]T

// words is one row of a table in a dialect file: a meaning and the words for it.
type words[T ~string] struct {
	meaning T
	words   []string
}

// newTable refuses a word with two meanings, and one without any letter or digit.
func newTable[T ~string](table string, rows []words[T]) (wordTable[T], error) {
	out := wordTable[T]{}
	for _, row := range rows {
		for _, word := range row.words {
			key := legacy.Normalise(word)
			if key == "" {
				return nil, fmt.Errorf("[%s] %s: word %q has no letter or digit", table, row.meaning, word)
			}
			if other, ok := out[key]; ok && other != row.meaning {
				return nil, fmt.Errorf("[%s]: word %q stands for both %s and %s", table, word, other, row.meaning)
			}
			out[key] = row.meaning
		}
	}
	return out, nil
}

func (t wordTable[T]) find(word string) (T, bool) {
	found, ok := t[legacy.Normalise(word)]
	return found, ok
}

// shownRows gives a table's rows as they are written in a dialect file.
func shownRows[T ~string](rows []words[T]) []Words {
	var out []Words
	for _, row := range rows {
		out = append(out, Words{string(row.meaning), row.words})
	}
	return out
}

// endingsOf finds the operations in the words for states: at the beginning or the end of a word, the longest first.
func endingsOf(states wordTable[legacy.State], operations wordTable[legacy.Operation]) wordTable[legacy.Operation] {
	out := wordTable[legacy.Operation]{}
	for word, state := range states {
		if state != legacy.StateSuccess && state != legacy.StateFailed {
			continue
		}
		if operation := operationIn(word, operations); operation != "" {
			out[word] = operation
		}
	}
	return out
}

func operationIn(word string, operations wordTable[legacy.Operation]) legacy.Operation {
	for length := len(word) - 1; length > 1; length-- {
		for _, part := range []string{word[:length], word[len(word)-length:]} {
			if operation, ok := operations[part]; ok && operation != legacy.OperationNone {
				return operation
			}
		}
	}
	return ""
}
