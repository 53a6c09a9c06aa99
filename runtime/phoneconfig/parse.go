package phoneconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"capf/internal/plain"
)

// Limits on what is read.
const (
	maxElements = 20000
	maxDepth    = 64
)

// element is one of the elements that matter here, with its places in the document. Others are not kept, nor what is
// within them.
type element struct {
	name       string // as it stands there
	start, end int    // of all of it
	open       int    // behind its start tag
	close      int    // at its end tag; where it is bare, as open and end
	bare       bool   // <name/>
	text       string // its text, entities and CDATA read
	kept       []span // comments and processing instructions right within
	children   []*element
	elements   bool // it has children, of any name
	last       span // the last of them
}

const whiteSpace = " \t\r\n"

type span struct{ from, to int }

func (e *element) all(name string) []*element {
	var found []*element
	for _, child := range e.children {
		if child.name == name {
			found = append(found, child)
		}
	}
	return found
}

// matters tells whether an element is one to know, by its name and what it stands in.
func matters(name string, parent *element) bool {
	if parent == nil {
		return false
	}
	switch parent.name {
	case rootElement:
		return name == authElement || name == listElement || name == securityElement
	case listElement:
		return name == memberElement
	case memberElement:
		return name == portElement || name == serverElement
	}
	return false
}

// parsing is one reading of a document.
type parsing struct {
	document []byte // as UTF-8
	offset   int    // where the XML begins in it
	decoder  *xml.Decoder
	root     *element
	stack    []open
	count    int
}

// open is an element whose end has not come.
type open struct {
	name    string
	element *element // nil: none that matters
}

// parse finds the elements that matter. It takes nothing that is not well-formed, and no document type: with entities of
// its own a phone might read something else than what was edited.
func parse(s *source) (*element, error) {
	p := &parsing{document: s.text, offset: s.mark}
	p.decoder = xml.NewDecoder(bytes.NewReader(s.text[s.mark:]))
	p.decoder.CharsetReader = func(_ string, same io.Reader) (io.Reader, error) { return same, nil }
	for {
		from := p.at()
		token, err := p.decoder.RawToken()
		if err == io.EOF {
			return p.finish()
		}
		if err != nil {
			return nil, faultf(p.at(), "not well-formed: %s", reason(err))
		}
		if err := p.take(token, span{from, p.at()}); err != nil {
			return nil, &fault{from, err}
		}
	}
}

// reason leaves out the line that the XML reader counts, which knows no encodings, and cuts what it quotes.
func reason(err error) string {
	const most = 120
	text := err.Error()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		text = syntax.Msg
	}
	return plain.Line(plain.ClipTo(text, most))
}

func (p *parsing) at() int { return p.offset + int(p.decoder.InputOffset()) }

func (p *parsing) finish() (*element, error) {
	switch {
	case len(p.stack) > 0:
		return nil, faultf(len(p.document), "not well-formed: the document ends within %s", quote(p.stack[len(p.stack)-1].name))
	case p.root == nil:
		return nil, faultf(len(p.document), "the document has no element")
	}
	return p.root, nil
}

func (p *parsing) take(token xml.Token, place span) error {
	switch token := token.(type) {
	case xml.StartElement:
		return p.start(token, place)
	case xml.EndElement:
		return p.end(rawName(token.Name), place)
	case xml.CharData:
		return p.text(token, place)
	case xml.Directive:
		return errors.New("a document type, which a phone's configuration has none of")
	case xml.ProcInst:
		if strings.EqualFold(token.Target, "xml") && place.from != p.offset {
			return errors.New("not well-formed: an XML declaration that is not at the beginning")
		}
	}
	if inner := p.inner(); inner != nil { // a comment or a processing instruction
		inner.kept = append(inner.kept, place)
	}
	return nil
}

// inner gives the innermost open element, nil where it is none that matters.
func (p *parsing) inner() *element {
	if len(p.stack) == 0 {
		return nil
	}
	return p.stack[len(p.stack)-1].element
}

func rawName(name xml.Name) string {
	if name.Space != "" {
		return name.Space + ":" + name.Local
	}
	return name.Local
}

func (p *parsing) start(token xml.StartElement, place span) error {
	p.count++
	if p.count > maxElements || len(p.stack) >= maxDepth {
		return fmt.Errorf("more than %d elements, or %d within each other", maxElements, maxDepth)
	}
	if err := checkAttributes(token.Attr); err != nil {
		return err
	}
	name := rawName(token.Name)
	found := &element{name: name, start: place.from, open: place.to, bare: p.document[place.to-2] == '/'}
	parent := p.inner()
	switch {
	case len(p.stack) > 0:
		if !matters(name, parent) {
			found = nil
		}
	case p.root != nil:
		return errors.New("not well-formed: a second element beside the root")
	case name != rootElement:
		return fmt.Errorf("the root is %s, not %s: this is no configuration of a phone", quote(name), rootElement)
	default:
		p.root = found
	}
	if parent != nil {
		parent.elements = true
		parent.last.from = place.from
		if found != nil {
			parent.children = append(parent.children, found)
		}
	}
	p.stack = append(p.stack, open{name, found})
	return nil
}

// checkAttributes refuses an attribute that is there twice, which the XML reader lets through.
func checkAttributes(attributes []xml.Attr) error {
	if len(attributes) < 2 {
		return nil
	}
	seen := make(map[xml.Name]bool, len(attributes))
	for _, attribute := range attributes {
		if seen[attribute.Name] {
			return fmt.Errorf("not well-formed: attribute %s is there twice", quote(rawName(attribute.Name)))
		}
		seen[attribute.Name] = true
	}
	return nil
}

func (p *parsing) end(name string, place span) error {
	if len(p.stack) == 0 {
		return fmt.Errorf("not well-formed: the end of %s, which has not begun", quote(name))
	}
	top := p.stack[len(p.stack)-1]
	if top.name != name {
		return fmt.Errorf("not well-formed: the end of %s within %s", quote(name), quote(top.name))
	}
	p.stack = p.stack[:len(p.stack)-1]
	if top.element != nil {
		top.element.close, top.element.end = place.from, place.to
	}
	if parent := p.inner(); parent != nil {
		parent.last.to = place.to
	}
	return nil
}

func (p *parsing) text(text xml.CharData, place span) error {
	if len(p.stack) == 0 {
		if strings.Trim(string(p.document[place.from:place.to]), whiteSpace) != "" {
			return errors.New("not well-formed: text outside of the root")
		}
		return nil
	}
	if inner := p.inner(); inner != nil && inner != p.root && len(inner.text) < maxText {
		inner.text += string(text)
	}
	return nil
}

// quote is a name from a document in an error.
func quote(name string) string { return plain.QuoteTo(name, 60) }
