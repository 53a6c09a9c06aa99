package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// fields are the elements of a message that a view reads, by tag. The first thing wrong is kept, so that a
// view can be read in one expression.
type fields struct {
	command Command
	values  [lastTag + 1][]byte
	present [lastTag + 1]bool
	skipped []Element
	err     error
}

// fieldsOf sorts the elements of a message: those with one of the tags are read, the others skipped. It
// notes a command other than the one wanted, and a known element that is repeated.
func fieldsOf(m Message, want Command, tags ...Tag) *fields {
	f := &fields{command: m.Command}
	if m.Command != want {
		f.err = &CommandError{Got: m.Command, Want: want}
		return f
	}
	for _, element := range m.Elements {
		if !element.Tag.Known() {
			f.skipped = append(f.skipped, element)
			continue
		}
		if f.present[element.Tag] {
			f.fail(element.Tag, "came twice")
		}
		f.present[element.Tag], f.values[element.Tag] = true, element.Value
		if !slices.Contains(tags, element.Tag) {
			f.skipped = append(f.skipped, element)
		}
	}
	return f
}

// finish is what a view's decoder returns: all or an error.
func finish[View any](f *fields, view View) (View, []Element, error) {
	if f.err != nil {
		var none View
		return none, nil, f.err
	}
	return view, f.skipped, nil
}

func (f *fields) fail(tag Tag, format string, arguments ...any) {
	if f.err == nil {
		f.err = &MalformedError{Command: f.command, Tag: tag, Problem: fmt.Sprintf(format, arguments...)}
	}
}

// sized is the value of an element that must have a number of bytes, nil where it is missing or wrong.
func (f *fields) sized(tag Tag, size int) []byte {
	if !f.present[tag] {
		return nil
	}
	if value := f.values[tag]; len(value) == size {
		return value
	}
	f.fail(tag, "%d bytes, not %d", len(f.values[tag]), size)
	return nil
}

// number8 is the value of an element of one byte.
func number8[T ~uint8](f *fields, tag Tag) Optional[T] {
	if value := f.sized(tag, 1); value != nil {
		return Some(T(value[0]))
	}
	return Optional[T]{}
}

// number16 is the value of an element of two bytes.
func (f *fields) number16(tag Tag) Optional[uint16] {
	if value := f.sized(tag, 2); value != nil {
		return Some(binary.BigEndian.Uint16(value))
	}
	return Optional[uint16]{}
}

// text is what stands before the first NUL of an element, which may lack it: that phones always send one
// is seen, that they must is not. Longer than MaxText is refused.
func (f *fields) text(tag Tag) []byte {
	value, _, _ := bytes.Cut(f.values[tag], []byte{0})
	if len(value) > MaxText {
		f.fail(tag, "%d characters, at most %d allowed", len(value), MaxText)
		return nil
	}
	return value
}

// secret is the whole value of an element that must not be seen.
func (f *fields) secret(tag Tag) Secret {
	if !f.present[tag] {
		return Secret{}
	}
	return NewSecret(f.values[tag])
}

// builder gathers the elements of a message that a view writes.
type builder struct {
	elements []Element
}

func (b *builder) add(tag Tag, value []byte) {
	b.elements = append(b.elements, Element{Tag: tag, Value: value})
}

func (b *builder) addSecret(tag Tag, value Secret) {
	if value.Present() {
		b.add(tag, value.Reveal())
	}
}

func add8[T ~uint8](b *builder, tag Tag, value Optional[T]) {
	if value.Present {
		b.add(tag, []byte{byte(value.Value)})
	}
}

func (b *builder) add16(tag Tag, value Optional[uint16]) {
	if value.Present {
		b.add(tag, binary.BigEndian.AppendUint16(nil, value.Value))
	}
}

func (b *builder) addCertificate(der []byte) {
	if der != nil {
		b.add(TagCertificate, encodeCertificate(der))
	}
}

// message is a message with the elements gathered.
func (b *builder) message(command Command, sessionID uint32) Message {
	return Message{Command: command, SessionID: sessionID, Elements: b.elements}
}
