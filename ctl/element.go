package ctl

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
)

// Tag is the number of an element. The same number means different things in the header, within its
// wrappers, and in a record (ctl-format.md).
type Tag byte

// The elements of the header and of its wrappers.
const (
	TagVersion                Tag = 1
	TagHeaderLength           Tag = 2
	TagSignerID               Tag = 3 // wraps 4, 6, 5
	TagSignerName             Tag = 4
	TagSignerSerial           Tag = 5
	TagSignerIssuer           Tag = 6
	TagSignatureInfo          Tag = 7 // wraps 8 to 11
	TagDigestAlgorithm        Tag = 8
	TagSignatureAlgorithmInfo Tag = 9 // wraps 10 and 11
	TagSignatureAlgorithm     Tag = 10
	TagSignatureModulus       Tag = 11
	TagSignature              Tag = 12
	TagPadding                Tag = 13 // a bare tag, no length, no value
	TagFileName               Tag = 14
	TagTimestamp              Tag = 15
	TagSignerVersion          Tag = 28
)

// The elements of a record.
const (
	TagRecordLength         Tag = 1
	TagDNSName              Tag = 2
	TagSubject              Tag = 3
	TagRole                 Tag = 4
	TagIssuer               Tag = 5
	TagSerial               Tag = 6
	TagPublicKey            Tag = 7
	TagCertificateSignature Tag = 8
	TagCertificate          Tag = 9
	TagAddress              Tag = 10
	TagCertificateHash      Tag = 11 // a short record instead of the certificate
	TagHashAlgorithm        Tag = 12
)

// Limits on what is read. A list of a whole cluster has a few dozen records of some 2 KB each; those of other makers may
// have more, as many as fit into the size, and a header that is padded further than to a multiple of 4.
const (
	MaxSize    = 4 << 20 // bytes of a file
	MaxRecords = 4096

	maxValue    = 0xFFFF // a length has two bytes
	maxElements = 24     // in the header, in a wrapper, in a record; padding is not counted
	maxPadding  = 64     // 3 reach a multiple of 4
	overhead    = 3      // tag and length
)

// Element is one element as it came.
type Element struct {
	Position int  // the byte of its tag in the file, from 0; 0 in an element that was not read
	Tag      Tag  // its number
	Bare     bool // padding: the tag alone, neither length nor value
	Value    []byte
	Inner    []Element // the elements within a known wrapper; its value is then theirs
}

// size returns the number of bytes that the element takes in a file.
func (e Element) size() int {
	if e.Bare {
		return 1
	}
	if e.Inner != nil {
		return overhead + sizeOf(e.Inner)
	}
	return overhead + len(e.Value)
}

func sizeOf(elements []Element) int {
	total := 0
	for _, element := range elements {
		total += element.size()
	}
	return total
}

// appendElements adds the encoding of the elements. That no value is longer than a length can say holds
// for everything that was decoded, and is checked by Contents.Validate for everything else.
func appendElements(raw []byte, elements []Element) []byte {
	for _, element := range elements {
		raw = append(raw, byte(element.Tag))
		if element.Bare {
			continue
		}
		raw = binary.BigEndian.AppendUint16(raw, uint16(element.size()-overhead))
		if element.Inner != nil {
			raw = appendElements(raw, element.Inner)
		} else {
			raw = append(raw, element.Value...)
		}
	}
	return raw
}

// find returns the first element with the tag, on this level.
func find(elements []Element, tag Tag) (Element, bool) {
	for _, element := range elements {
		if element.Tag == tag {
			return element, true
		}
	}
	return Element{}, false
}

// span is a part of a file: raw from start up to end.
type span struct {
	raw        []byte
	start, end int
	name       string // for errors: `header`, `record 3`
}

// schema says what may stand in one container, and how it is read into the typed view T.
type schema[T any] map[Tag]field[T]

type field[T any] struct {
	view
	required bool
	bare     bool
	inner    schema[T]                                         // of a wrapper
	read     func(into *T, element Element, name string) error // nil for wrappers and padding
}

// parse reads the elements of a span and, through them, the typed view. Unknown elements are kept.
func (s schema[T]) parse(part span, into *T) ([]Element, error) {
	elements := make([]Element, 0, min(maxElements, (part.end-part.start)/overhead))
	for at := part.start; at < part.end; {
		element, err := s.next(part, at, into)
		if err != nil {
			return nil, err
		}
		if err := s.admit(elements, element, part.name); err != nil {
			return nil, err
		}
		elements = append(elements, element)
		at += element.size()
	}
	for _, tag := range slices.Sorted(maps.Keys(s)) {
		if _, there := find(elements, tag); s[tag].required && !there {
			return nil, faultAt(part.start, part.name, "%s (tag %d) is missing", s[tag].name, tag)
		}
	}
	return elements, nil
}

// next reads the element at a position.
func (s schema[T]) next(part span, at int, into *T) (Element, error) {
	tag := Tag(part.raw[at])
	known, ok := s[tag]
	name := part.name + ", " + known.name
	if !ok {
		name = part.name + ", unknown element"
	}
	if known.bare {
		return Element{Position: at, Tag: tag, Bare: true}, nil
	}
	if part.end-at < overhead {
		return Element{}, faultAt(at, name, "%d bytes are left, too few for a tag and a length", part.end-at)
	}
	length := int(binary.BigEndian.Uint16(part.raw[at+1:]))
	if length > part.end-at-overhead {
		return Element{}, faultAt(at, name, "length %d, but only %d bytes are left", length, part.end-at-overhead)
	}
	first, last := at+overhead, at+overhead+length
	element := Element{Position: at, Tag: tag, Value: part.raw[first:last:last]}
	var err error
	if known.inner != nil {
		element.Inner, err = known.inner.parse(span{part.raw, first, last, name}, into)
	} else if known.read != nil {
		err = known.read(into, element, name)
	}
	return element, err
}

// admit refuses what may not follow the elements already there.
func (s schema[T]) admit(before []Element, element Element, part string) error {
	name := part + ", " + s[element.Tag].name
	if element.Bare {
		if n := len(before); n >= maxPadding && before[n-maxPadding].Bare {
			return faultAt(element.Position, name, "more than %d bytes of padding", maxPadding)
		}
		return nil
	}
	if len(before) >= maxElements {
		return faultAt(element.Position, part, "more than %d elements", maxElements)
	}
	if n := len(before); n > 0 && before[n-1].Bare {
		return faultAt(element.Position, part, "an element follows the padding")
	}
	if _, again := find(before, element.Tag); again && s[element.Tag].name != "" {
		return faultAt(element.Position, name, "stands there twice")
	}
	return nil
}

// view is what an element is called, and how it is shown.
type view struct {
	name  string              // in errors
	title string              // in what is shown
	value func([]byte) string // nil: nothing, for wrappers and padding
}

// must gives the field as one that may not be missing.
func (f field[T]) must() field[T] {
	f.required = true
	return f
}

// shown gives the field with another way to show its value, which has the length that decoding made sure of.
func (f field[T]) shown(value func([]byte) string) field[T] {
	f.value = value
	return f
}

// wrapper is a field that has elements for its value.
func wrapper[T any](name, title string, inner schema[T]) field[T] {
	return field[T]{view: view{name: name, title: title}, required: true, inner: inner}
}

// bytesField is a field that is taken as it is. Place gives where it belongs in the typed view.
func bytesField[T any](name, title string, place func(*T) *[]byte) field[T] {
	return field[T]{view: view{name, title, colonHex}, read: func(into *T, element Element, _ string) error {
		*place(into) = element.Value
		return nil
	}}
}

// filledField is a bytesField that must not be empty.
func filledField[T any](name, title string, place func(*T) *[]byte) field[T] {
	f := bytesField(name, title, place)
	read := f.read
	f.read = func(into *T, element Element, name string) error {
		if len(element.Value) == 0 {
			return faultAt(element.Position, name, "is empty")
		}
		return read(into, element, name)
	}
	return f
}

// numberField is a big-endian number of exactly that many bytes, at most 4.
func numberField[T any](name, title string, size int, set func(into *T, number uint32)) field[T] {
	return field[T]{view: view{name, title, showNumber}, read: func(into *T, element Element, name string) error {
		if len(element.Value) != size {
			return faultAt(element.Position, name, "length %d instead of %d", len(element.Value), size)
		}
		var wide [4]byte
		copy(wide[4-size:], element.Value)
		set(into, binary.BigEndian.Uint32(wide[:]))
		return nil
	}}
}

// textField is a text, which ends in one NUL and has no other.
func textField[T any](name, title string, place func(*T) *string) field[T] {
	return field[T]{view: view{name, title, showText}, read: func(into *T, element Element, name string) error {
		last := len(element.Value) - 1
		if at := bytes.IndexByte(element.Value, 0); at >= 0 && at < last {
			return faultAt(element.Position, name, "a NUL within the text, %d bytes before its end", last-at)
		}
		if last < 0 || element.Value[last] != 0 {
			return faultAt(element.Position, name, "the text does not end in a NUL")
		}
		*place(into) = string(element.Value[:last])
		return nil
	}}
}

// views gives how the elements are shown, those within wrappers too: in all of the header a number means one thing.
func (s schema[T]) views() views {
	all := views{}
	for tag, known := range s {
		all[tag] = known.view
		maps.Copy(all, known.inner.views())
	}
	return all
}
