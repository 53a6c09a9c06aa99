package phoneconfig

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

func encoded(t *testing.T, by encoding.Encoding, text string) []byte {
	t.Helper()
	document, err := by.NewEncoder().Bytes([]byte(text))
	must(t, err)
	return document
}

// judged is what encoding/xml and x/text, without the code under test, find in a document.
type judged struct {
	values []string // PATH=TEXT below the root of the elements that are ours, in their order
	rest   []string // everything else, without white space between elements
}

// judge wants in a document the settings, and else what was there before.
func judge(t *testing.T, before, after []byte, settings Settings) {
	t.Helper()
	was, err := readAsJudge(before)
	if err != nil {
		t.Fatalf("the judge refuses the document: %v: %q", err, before)
	}
	is, err := readAsJudge(after)
	if err != nil {
		t.Fatalf("the judge refuses the outcome: %v: %q", err, after)
	}
	if !slices.Equal(was.rest, is.rest) {
		t.Errorf("something else has changed in %q:\nbefore %q\nafter  %q", after, was.rest, is.rest)
	}
	want := []string{"capfAuthMode=" + authModes[settings.AuthMode], "capfList/capf/phonePort=" + strconv.Itoa(settings.Port),
		"capfList/capf/processNodeName=" + settings.Server, "deviceSecurityMode=" + securityModes[settings.SecurityMode]}
	slices.Sort(is.values)
	if got := slices.Compact(is.values); !slices.Equal(got, want) {
		t.Errorf("the judge reads %q, not %q, in %q", got, want, after)
	}
}

// wellFormed lets the XML reader look at all of a document, with names and ends that fit.
func wellFormed(document []byte) error {
	decoder := judgeOf(document)
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func judgeOf(document []byte) *xml.Decoder {
	if bytes.HasPrefix(document, []byte("\xFF\xFE")) || bytes.HasPrefix(document, []byte("\xFE\xFF")) {
		text, err := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(document)
		if err != nil {
			panic(err)
		}
		decoder := xml.NewDecoder(bytes.NewReader(text))
		decoder.CharsetReader = func(_ string, text io.Reader) (io.Reader, error) { return text, nil }
		return decoder
	}
	decoder := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(document, []byte("\xEF\xBB\xBF"))))
	decoder.CharsetReader = func(name string, text io.Reader) (io.Reader, error) {
		if found, err := ianaindex.IANA.Encoding(name); err == nil && found != nil {
			return found.NewDecoder().Reader(text), nil
		}
		return charmap.ISO8859_1.NewDecoder().Reader(text), nil
	}
	return decoder
}

func readAsJudge(document []byte) (found judged, err error) {
	if err := wellFormed(document); err != nil {
		return judged{}, err
	}
	decoder := judgeOf(document)
	var path []string
	for {
		token, err := decoder.RawToken()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return judged{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, rawName(token.Name))
			found.add(path, fmt.Sprintf("<%q %q>", rawName(token.Name), token.Attr), "")
		case xml.EndElement:
			found.add(path, "</>", "")
			path = path[:len(path)-1]
		case xml.CharData:
			if text := string(token); len(path) > 2 || strings.Trim(text, " \t\r\n") != "" {
				found.add(path, text, text)
			}
		default:
			found.add(path, fmt.Sprintf("%q", token), "")
		}
	}
}

// add sorts what is found at a path.
func (j *judged) add(path []string, what, text string) {
	if len(path) < 2 || !slices.Contains([]string{"capfAuthMode", "capfList", "deviceSecurityMode"}, path[1]) {
		j.rest = append(j.rest, what)
		return
	}
	within := strings.Join(path[1:], "/")
	if text != "" && slices.Contains([]string{"capfAuthMode", "capfList/capf/phonePort", "capfList/capf/processNodeName", "deviceSecurityMode"}, within) {
		j.values = append(j.values, within+"="+text)
	}
}
