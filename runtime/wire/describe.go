package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Describe is a message in one line for a trace: command, session ID, elements in their order. Numbers get
// their names, texts are quoted, of all else only the length is shown; secrets are masked.
func Describe(m Message) string {
	var line strings.Builder
	fmt.Fprintf(&line, "%v, session %d", m.Command, m.SessionID)
	for _, element := range m.Elements {
		line.WriteString(", ")
		line.WriteString(describeElement(element))
	}
	return line.String()
}

func describeElement(e Element) string {
	return fmt.Sprintf("%v %s", e.Tag, describeValue(e))
}

// byteNames give the names of values of one byte.
var byteNames = map[Tag]func(byte) fmt.Stringer{
	TagReason:             func(b byte) fmt.Stringer { return Reason(b) },
	TagCertificateType:    func(b byte) fmt.Stringer { return CertificateType(b) },
	TagAuthenticationType: func(b byte) fmt.Stringer { return AuthenticationType(b) },
	TagKeyType:            func(b byte) fmt.Stringer { return KeyType(b) },
	TagCurve:              func(b byte) fmt.Stringer { return Curve(b) },
}

func describeValue(e Element) string {
	if name, known := byteNames[e.Tag]; known && len(e.Value) == 1 {
		return fmt.Sprintf("%d (%v)", e.Value[0], name(e.Value[0]))
	}
	switch e.Tag {
	case TagVersion, TagKeySize:
		return describeNumber(e.Value)
	case TagReasonInfo, TagDeviceName:
		return describeText(e.Value)
	}
	return describeOpaque(e)
}

func describeNumber(value []byte) string {
	switch len(value) {
	case 1:
		return fmt.Sprint(value[0])
	case 2:
		return fmt.Sprint(binary.BigEndian.Uint16(value))
	}
	return describeLength(value)
}

// describeText quotes the text before the first NUL, cut to a length that no line of a log minds.
func describeText(value []byte) string {
	text, _, _ := bytes.Cut(value, []byte{0})
	if len(text) > MaxText {
		return fmt.Sprintf("%+q and %d bytes more", text[:MaxText], len(text)-MaxText)
	}
	return fmt.Sprintf("%+q", text)
}

// describeOpaque gives the length of a value; of a secret, only whether it is empty, which under null
// string it is.
func describeOpaque(e Element) string {
	if !e.Tag.Secret() {
		return describeLength(e.Value)
	}
	if text, _, _ := bytes.Cut(e.Value, []byte{0}); e.Tag == TagPassword && len(text) == 0 {
		return "empty"
	}
	return redacted
}

func describeLength(value []byte) string { return fmt.Sprintf("of %d bytes", len(value)) }
