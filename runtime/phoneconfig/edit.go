package phoneconfig

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// editing collects edits of a document; none of them overlap.
type editing struct {
	document []byte
	edits    []edit
}

type edit struct {
	span
	text string
}

// leaf is an element with nothing but a text.
type leaf struct{ name, text string }

func (l leaf) String() string { return "<" + l.name + ">" + escape(l.text) + "</" + l.name + ">" }

// line is a new line of a document, so many steps deeper than its siblings.
type line struct {
	deeper int
	text   string
}

func (e *editing) replace(place span, text string) {
	e.edits = append(e.edits, edit{place, text})
}

// apply gives the document with all edits made. Two at one place stay in the order in which they came.
func (e *editing) apply() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var merged bytes.Buffer
	at := 0
	for _, one := range e.edits {
		merged.Write(e.document[at:one.from])
		merged.WriteString(one.text)
		at = one.to
	}
	merged.Write(e.document[at:])
	return merged.Bytes()
}

// set gives the children of these names their texts, and gives the lines for those that are not there. Of more than one
// child with a name each gets the text: nobody knows which one a phone takes.
func (e *editing) set(parent *element, leaves ...leaf) (missing []line, err error) {
	for _, want := range leaves {
		found := parent.all(want.name)
		if len(found) == 0 {
			missing = append(missing, line{text: want.String()})
		}
		for _, one := range found {
			if err := e.setText(one, want.text); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// setText gives an element its text. Comments within stay, behind the text.
func (e *editing) setText(one *element, text string) error {
	if one.elements {
		return faultf(one.start, "%s has elements within, where a phone wants a value", one.name)
	}
	if one.text == text {
		return nil
	}
	var content strings.Builder
	content.WriteString(escape(text))
	for _, kept := range one.kept {
		content.Write(e.document[kept.from:kept.to])
	}
	if one.bare {
		e.unfold(one, content.String())
	} else {
		e.replace(span{one.open, one.close}, content.String())
	}
	return nil
}

// unfold makes of <name/> an element with something within.
func (e *editing) unfold(bare *element, content string) {
	tag := strings.TrimRight(string(e.document[bare.start:bare.open-len("/>")]), whiteSpace)
	e.replace(span{bare.start, bare.end}, tag+">"+content+"</"+bare.name+">")
}

// remove takes an element out, together with the white space before it.
func (e *editing) remove(gone *element) {
	from := len(bytes.TrimRight(e.document[:gone.start], whiteSpace))
	e.replace(span{from, gone.end}, "")
}

// insert puts lines into an element, behind its last child and indented like that. Where there is no child to follow,
// they become one line.
func (e *editing) insert(parent *element, lines []line) {
	if len(lines) == 0 {
		return
	}
	at, before, deeper := parent.open, "", ""
	if parent.elements {
		at = parent.last.to
		before = e.lineBefore(parent.last.from)
		deeper = e.step(parent, strings.TrimLeft(before, "\r\n"))
	}
	var text strings.Builder
	for _, line := range lines {
		if before != "" {
			text.WriteString(before + strings.Repeat(deeper, line.deeper))
		}
		text.WriteString(line.text)
	}
	if parent.bare {
		e.unfold(parent, text.String())
		return
	}
	e.replace(span{at, at}, text.String())
}

// lineBefore gives the line break and the white space before an element that begins a line; nothing for another.
func (e *editing) lineBefore(start int) string {
	indent := len(bytes.TrimRight(e.document[:start], " \t"))
	switch {
	case bytes.HasSuffix(e.document[:indent], []byte("\r\n")):
		return string(e.document[indent-2 : start])
	case bytes.HasSuffix(e.document[:indent], []byte("\n")):
		return string(e.document[indent-1 : start])
	}
	return ""
}

// step gives by how much the children of an element stand deeper than itself.
func (e *editing) step(parent *element, indent string) string {
	own := strings.TrimLeft(e.lineBefore(parent.start), "\r\n")
	if deeper, longer := strings.CutPrefix(indent, own); longer {
		return deeper
	}
	return ""
}
