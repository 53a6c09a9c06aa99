package wire

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
)

// elementHeader is the number of bytes before the value of an element: tag and length.
const elementHeader = 3

// Element is one element of a message as it came.
type Element struct {
	Tag   Tag
	Value []byte
}

// Message is a message as it came: elements in their order, unknown and repeated ones too. Its textual
// forms are those of [Describe], so that no secret gets out through a log.
type Message struct {
	Command   Command
	SessionID uint32 // chosen by the server in its first message, repeated in all others [C]
	Elements  []Element
}

// size is the number of bytes of the elements.
func (m Message) size() int {
	size := 0
	for _, element := range m.Elements {
		size += elementHeader + len(element.Value)
	}
	return size
}

// Encode is the message in bytes. It fails with a *[LengthError] where an element or all of them do not
// fit into their length fields, or there are more than [MaxElementCount].
func Encode(m Message) ([]byte, error) {
	if len(m.Elements) > MaxElementCount {
		return nil, &LengthError{What: "elements of a message", Got: len(m.Elements), Max: MaxElementCount}
	}
	size := m.size()
	if size > math.MaxUint16 {
		return nil, &LengthError{What: "bytes of elements", Got: size, Max: math.MaxUint16}
	}
	b := make([]byte, 0, HeaderSize+size)
	b = append(b, Magic, byte(m.Command))
	b = binary.BigEndian.AppendUint32(b, m.SessionID)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	for _, element := range m.Elements {
		b = appendElement(b, byte(element.Tag), element.Value)
	}
	return b, nil
}

// appendElement appends tag, length and value. The caller has made sure that the value is short enough.
func appendElement(b []byte, tag byte, value []byte) []byte {
	b = append(b, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// Decode reads exactly one message. The values of the elements share memory with b. It fails with a
// *[TruncatedError], *[MagicError], *[LengthError] or *[MalformedError].
func Decode(b []byte) (Message, error) {
	if len(b) < HeaderSize {
		return Message{}, &TruncatedError{Got: len(b), Want: HeaderSize}
	}
	m, length, err := decodeHeader(b[:HeaderSize])
	if err != nil {
		return Message{}, err
	}
	if want := HeaderSize + length; len(b) < want {
		return Message{}, &TruncatedError{Got: len(b), Want: want}
	} else if len(b) > want {
		return Message{}, &MalformedError{Command: m.Command, Offset: want,
			Problem: fmt.Sprintf("%d bytes after the message", len(b)-want)}
	}
	if m.Elements, err = decodeElements(m.Command, b[HeaderSize:]); err != nil {
		return Message{}, err
	}
	return m, nil
}

// decodeHeader reads the HeaderSize bytes of a header: a message without elements, and their length.
func decodeHeader(b []byte) (Message, int, error) {
	if b[0] != Magic {
		return Message{}, 0, &MagicError{Got: b[0]}
	}
	m := Message{Command: Command(b[1]), SessionID: binary.BigEndian.Uint32(b[2:6])}
	return m, int(binary.BigEndian.Uint16(b[6:8])), nil
}

// decodeElements reads the elements that follow the header of a message. Those past the most allowed are
// counted only: a message with too many of them costs nothing.
func decodeElements(command Command, b []byte) ([]Element, error) {
	var elements []Element
	count := 0
	for offset := 0; offset < len(b); count++ {
		rest := b[offset:]
		if len(rest) < elementHeader {
			return nil, &MalformedError{Command: command, Offset: HeaderSize + offset, Problem: "element without its length"}
		}
		tag, length := Tag(rest[0]), int(binary.BigEndian.Uint16(rest[1:elementHeader]))
		if rest = rest[elementHeader:]; length > len(rest) {
			return nil, &MalformedError{Command: command, Offset: HeaderSize + offset, Tag: tag,
				Problem: fmt.Sprintf("value of %d bytes where %d are left", length, len(rest))}
		}
		if count < MaxElementCount {
			elements = append(elements, Element{Tag: tag, Value: rest[:length:length]})
		}
		offset += elementHeader + length
	}
	if count > MaxElementCount {
		return nil, &LengthError{What: "elements of a message", Got: count, Max: MaxElementCount}
	}
	return elements, nil
}

// Format writes what [Describe] gives, whatever the verb.
func (m Message) Format(state fmt.State, _ rune) { _, _ = fmt.Fprint(state, Describe(m)) }

// LogValue is what [Describe] gives.
func (m Message) LogValue() slog.Value { return slog.StringValue(Describe(m)) }

// Format writes the name of the element and its value, or only its length, whatever the verb.
func (e Element) Format(state fmt.State, _ rune) { _, _ = fmt.Fprint(state, describeElement(e)) }

// LogValue is the name of the element and its value, or only its length.
func (e Element) LogValue() slog.Value { return slog.StringValue(describeElement(e)) }
