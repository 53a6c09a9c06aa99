// Package phoneconfig writes into the configuration file that a phone loads (`SEP<MAC>.cnf.xml`) what makes it call CAPF:
// `capfAuthMode`, `capfList` and `deviceSecurityMode`, as children of the root `device`. Everything else stays as it
// is, byte for byte: the file is not written anew, but edited at the places that the XML reader found.
//
// Names and values are those of capf-protocol.md ("What phones do"). It gives no number for `capfAuthMode` of a phone
// without an operation, so none is written but those four. Only the publisher runs CAPF (capf-guide.md, A1), so of the
// up to five `capf` members that a phone reads one is left.
//
// An authentication string has no place in such a file, which every phone may load, and never gets near this package.
package phoneconfig

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// MaxFile is the longest file that is read, in bytes. Those of a CallManager have some ten thousand.
const MaxFile = 1 << 20

// Settings are what makes a phone call.
type Settings struct {
	AuthMode     capf.AuthMode
	SecurityMode capf.SecurityMode
	Server       string // name or address of the publisher, as phones reach it
	Port         int    // 1 to 65535
}

// The values of capf-protocol.md.
var (
	authModes = map[capf.AuthMode]string{
		capf.AuthByString: "1", capf.AuthByNullString: "2", capf.AuthByLSC: "3", capf.AuthByMIC: "4",
	}
	securityModes = map[capf.SecurityMode]string{capf.NonSecure: "1", capf.Authenticated: "2", capf.Encrypted: "3"}
)

// The elements.
const (
	rootElement     = "device"
	authElement     = "capfAuthMode"
	listElement     = "capfList"
	memberElement   = "capf"
	portElement     = "phonePort"
	serverElement   = "processNodeName"
	securityElement = "deviceSecurityMode"
)

const (
	maxServer = 253 // bytes of a DNS name
	maxText   = 8 * maxServer
)

// Validate says what is wrong with the settings.
func (s Settings) Validate() error {
	switch {
	case authModes[s.AuthMode] == "":
		return fmt.Errorf("authentication mode %q: a phone has no number for it", s.AuthMode)
	case securityModes[s.SecurityMode] == "":
		return fmt.Errorf("security mode %q: a phone has no number for it", s.SecurityMode)
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("port %d: use 1 to 65535", s.Port)
	case s.Server == "" || len(s.Server) > maxServer || !plain.IsWord(s.Server):
		return fmt.Errorf("server %q: give the name or address by which phones reach the publisher", s.Server)
	}
	return nil
}

// Minimal gives a file that has the settings and nothing else. A phone needs more to register.
func Minimal(settings Settings) ([]byte, error) {
	document, _, err := Merge([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<device>\n\t<"+securityElement+"/>\n</device>\n"), settings)
	return document, err
}

// Merge gives the document with the settings in it, in its own encoding, and names the elements that were changed; where
// it has them already, the very same bytes and no name. An error says at which line (from 1) and byte (from 0) the
// document is not what a phone's configuration may be.
func Merge(document []byte, settings Settings) (merged []byte, changed []string, err error) {
	if err := settings.Validate(); err != nil {
		return nil, nil, err
	}
	if merged, changed, err = mergeOnce(document, settings); err != nil {
		return nil, nil, err
	}
	// The outcome is read again: what has the settings needs no edit.
	_, missing, err := mergeOnce(merged, settings)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%s is not as it was set", strings.Join(missing, ", "))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the file as it would become: %w", err)
	}
	return merged, changed, nil
}

func mergeOnce(document []byte, settings Settings) (merged []byte, changed []string, err error) {
	s := &source{document: document}
	if err := s.read(); err != nil {
		return nil, nil, s.locate(err)
	}
	root, err := parse(s)
	if err != nil {
		return nil, nil, s.locate(err)
	}
	edit := &editing{document: s.text}
	if changed, err = edit.merge(root, settings); err != nil {
		return nil, nil, s.locate(err)
	}
	return s.write(edit.apply()), changed, nil
}

// leaves are the values right within the root, members those within a member of the list.
func (s Settings) leaves() []leaf {
	return []leaf{{securityElement, securityModes[s.SecurityMode]}, {authElement, authModes[s.AuthMode]}}
}

func (s Settings) member() []leaf {
	return []leaf{{portElement, strconv.Itoa(s.Port)}, {serverElement, s.Server}}
}

// merge collects the edits, and names the elements within the root that they change.
func (e *editing) merge(root *element, settings Settings) (changed []string, err error) {
	var missing []line
	part := func(name string, set func() ([]line, error)) error {
		before := len(e.edits)
		absent, err := set()
		if len(absent) > 0 || len(e.edits) > before {
			changed = append(changed, name)
		}
		missing = append(missing, absent...)
		return err
	}
	for _, want := range settings.leaves() {
		if err := part(want.name, func() ([]line, error) { return e.set(root, want) }); err != nil {
			return nil, err
		}
	}
	if err := part(listElement, func() ([]line, error) { return e.setLists(root, settings.member()) }); err != nil {
		return nil, err
	}
	e.insert(root, missing)
	return changed, nil
}

// setLists leaves one member in each list, and gives the lines of a list where there is none.
func (e *editing) setLists(root *element, member []leaf) (missing []line, err error) {
	lists := root.all(listElement)
	if len(lists) == 0 {
		missing = append(missing, line{0, "<" + listElement + ">"})
		for _, inner := range memberLines(member) {
			missing = append(missing, line{inner.deeper + 1, inner.text})
		}
		return append(missing, line{0, "</" + listElement + ">"}), nil
	}
	for _, list := range lists {
		if err := e.setList(list, member); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (e *editing) setList(list *element, member []leaf) error {
	members := list.all(memberElement)
	if len(members) == 0 {
		e.insert(list, memberLines(member))
		return nil
	}
	for _, surplus := range members[1:] {
		e.remove(surplus)
	}
	missing, err := e.set(members[0], member...)
	e.insert(members[0], missing)
	return err
}

func memberLines(member []leaf) []line {
	lines := []line{{0, "<" + memberElement + ">"}}
	for _, one := range member {
		lines = append(lines, line{1, one.String()})
	}
	return append(lines, line{0, "</" + memberElement + ">"})
}

// escape writes a text so that it means the same in every encoding that is edited here.
func escape(text string) string {
	var escaped strings.Builder
	for _, char := range text {
		if strings.ContainsRune(`<>&"'`, char) || char > unicode.MaxASCII {
			fmt.Fprintf(&escaped, "&#%d;", char)
		} else {
			escaped.WriteRune(char)
		}
	}
	return escaped.String()
}
