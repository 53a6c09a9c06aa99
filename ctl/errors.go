package ctl

import (
	"errors"
	"fmt"
	"strings"
)

// FormatError is a fault of a list at a known place.
type FormatError struct {
	Position int    // the byte, from 0, at which the element with the fault begins
	Name     string // where it is: `header, signer name`, `record 3, certificate`
	Problem  error  // what is wrong
}

// Error returns one line: the byte, the place, the problem.
func (e *FormatError) Error() string {
	return fmt.Sprintf("byte %d (%s): %v", e.Position, e.Name, e.Problem)
}

// Unwrap returns the problem.
func (e *FormatError) Unwrap() error { return e.Problem }

func faultAt(position int, name, problem string, arguments ...any) *FormatError {
	return &FormatError{Position: position, Name: name, Problem: fmt.Errorf(problem, arguments...)}
}

// ErrNotSuccessor is what VerifySuccession wraps when both lists can be read and phones would still not
// take the new one.
var ErrNotSuccessor = errors.New("phones that hold the previous list would not take this one")

// Cause gives why one list does not succeed another, without the sentence of ErrNotSuccessor, for those who say that
// themselves and name the lists; any other error as it is.
func Cause(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !errors.Is(err, ErrNotSuccessor) {
		return err
	}
	for _, part := range joined.Unwrap() {
		if part != ErrNotSuccessor {
			return part
		}
	}
	return err
}

// ErrOlder is what VerifySuccession wraps beside ErrNotSuccessor when nothing but the new list's time is before that of
// the previous one: its signature, on which phones insist, is good.
var ErrOlder = errors.New("older than the previous list")

// ErrOtherKind is what VerifySuccession wraps beside ErrNotSuccessor when the one list is a CTL and the other an ITL.
var ErrOtherKind = errors.New("a phone keeps the two apart")

// Problems are all the reasons why contents cannot be made a list, collected.
type Problems []error

// Error returns all problems in one line.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the problems one by one.
func (p Problems) Unwrap() []error { return p }

func (p *Problems) add(format string, arguments ...any) {
	*p = append(*p, fmt.Errorf(format, arguments...))
}

func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
