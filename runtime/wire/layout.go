package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A view says its layout once: the command, and the elements in the order in which they are written. Both
// directions follow it: Read reads a view from a message, write writes it.

// field ties an element to its place in a view.
type field struct {
	tag    Tag
	read   func(value []byte) error // takes the value of an element that came
	absent func() error             // says what is wrong without the element; nil: it may be missing
	write  func() []byte            // gives the value, nil where the element is missing
}

// Read reads a view, and the elements that it has no place for; or there is an error, and nothing else.
func Read[View any, Pointer interface {
	*View
	layout() (Command, []field)
}](m Message) (View, []Element, error) {
	var view, none View
	command, fields := Pointer(&view).layout()
	if m.Command != command {
		return none, nil, &CommandError{Got: m.Command, Want: command}
	}
	var came [lastTag + 1]*Element
	var skipped []Element
	for i, element := range m.Elements {
		if element.Tag.Known() {
			if came[element.Tag] != nil {
				return none, nil, &MalformedError{Command: command, Tag: element.Tag, Problem: "came twice"}
			}
			came[element.Tag] = &m.Elements[i]
		}
		if !slices.ContainsFunc(fields, func(f field) bool { return f.tag == element.Tag }) {
			skipped = append(skipped, element)
		}
	}
	for _, f := range fields {
		var err error
		if element := came[f.tag]; element != nil {
			err = f.read(element.Value)
		} else if f.absent != nil {
			err = f.absent()
		}
		if err != nil {
			return none, nil, &MalformedError{Command: command, Tag: f.tag, Problem: err.Error()}
		}
	}
	return view, skipped, nil
}

func missing() error { return errors.New("missing") }

// write writes a view.
func write(view interface{ layout() (Command, []field) }, sessionID uint32) Message {
	command, fields := view.layout()
	m := Message{Command: command, SessionID: sessionID}
	for _, f := range fields {
		if value := f.write(); value != nil {
			m.Elements = append(m.Elements, Element{Tag: f.tag, Value: value})
		}
	}
	return m
}

// number8 is an element of one byte.
func number8[T ~uint8](tag Tag, place *Optional[T]) field {
	return number(tag, place, 1, func(b []byte) T { return T(b[0]) },
		func(value T) []byte { return []byte{byte(value)} })
}

// number16 is an element of two bytes.
func number16(tag Tag, place *Optional[uint16]) field {
	return number(tag, place, 2, binary.BigEndian.Uint16,
		func(value uint16) []byte { return binary.BigEndian.AppendUint16(nil, value) })
}

func number[T any](tag Tag, place *Optional[T], size int, from func([]byte) T, to func(T) []byte) field {
	return field{tag: tag, read: func(value []byte) error {
		if len(value) != size {
			return fmt.Errorf("%d bytes, not %d", len(value), size)
		}
		*place = Some(from(value))
		return nil
	}, write: func() []byte {
		if !place.Present {
			return nil
		}
		return to(place.Value)
	}}
}

// publicKey is an element whose value is the key and nothing else.
func publicKey(place *[]byte) field {
	return field{tag: TagPublicKey, read: func(value []byte) error {
		if len(value) == 0 {
			return errors.New("empty")
		}
		*place = value
		return nil
	}, write: func() []byte { return *place }}
}

// secret is an element whose whole value must not be seen.
func secret(tag Tag, place *Secret) field {
	return field{tag: tag, read: func(value []byte) error {
		*place = NewSecret(value)
		return nil
	}, write: func() []byte { return place.Reveal() }}
}

// password is the authentication string without its NUL.
func password(place *Secret) field {
	return field{tag: TagPassword, read: func(value []byte) error {
		text, err := textOf(value)
		*place = NewSecret(text)
		return err
	}, write: func() []byte {
		if !place.Present() {
			return nil
		}
		return terminated(place.Reveal())
	}}
}

// deviceName refuses what could disturb a log or a terminal; what a device may be called is for the caller.
func deviceName(place *string) field {
	return field{tag: TagDeviceName, absent: missing, read: func(value []byte) error {
		name, err := textOf(value)
		if err != nil {
			return err
		}
		if len(name) == 0 {
			return missing()
		}
		for i, c := range name {
			if c < ' ' || c > '~' {
				return fmt.Errorf("character %d is 0x%02x, not printable ASCII", i+1, c)
			}
		}
		*place = string(name)
		return nil
	}, write: func() []byte { return terminated([]byte(*place)) }}
}

// textOf is what comes before the first NUL of a value, which may lack it: that phones always send one is
// seen, that they must is not. Longer than MaxText is refused.
func textOf(value []byte) ([]byte, error) {
	text, _, _ := bytes.Cut(value, []byte{0})
	if len(text) > MaxText {
		return nil, fmt.Errorf("%d characters, at most %d allowed", len(text), MaxText)
	}
	return text, nil
}

func terminated(text []byte) []byte { return append(bytes.Clone(text), 0) }

// The inner element of a certificate element: tag 1, length, then two bytes 00 01, then the DER
// certificate [C]. What tag and bytes mean is not known; servers and phones send them alike.
const (
	innerCertificateTag    = 1
	innerCertificateMark   = 1
	innerCertificateHeader = elementHeader + 2
)

// certificate is the DER inside a certificate element, not parsed. A certificate too long for the inner
// length is too long for the outer one, at which Encode refuses it.
func certificate(place *[]byte) field {
	return field{tag: TagCertificate, read: func(value []byte) (err error) {
		*place, err = decodeCertificate(value)
		return err
	}, write: func() []byte {
		if *place == nil {
			return nil
		}
		marked := binary.BigEndian.AppendUint16(nil, innerCertificateMark)
		return appendElement(nil, innerCertificateTag, append(marked, *place...))
	}}
}

func decodeCertificate(value []byte) ([]byte, error) {
	if len(value) <= innerCertificateHeader {
		return nil, fmt.Errorf("%d bytes hold no certificate", len(value))
	}
	if value[0] != innerCertificateTag {
		return nil, fmt.Errorf("inner element %d, not %d", value[0], innerCertificateTag)
	}
	length := int(binary.BigEndian.Uint16(value[1:elementHeader]))
	if rest := len(value) - elementHeader; length != rest {
		return nil, fmt.Errorf("inner element of %d bytes where %d are left", length, rest)
	}
	if mark := binary.BigEndian.Uint16(value[elementHeader:]); mark != innerCertificateMark {
		return nil, fmt.Errorf("certificate marked %04x, not %04x", mark, innerCertificateMark)
	}
	return value[innerCertificateHeader:], nil
}
