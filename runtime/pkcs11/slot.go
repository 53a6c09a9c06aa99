package pkcs11

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// loading keeps those apart who initialize or finalize a module: the state of a module is one for the whole process
// ([P11] 5.4).
var loading sync.Mutex

// Slot is a token in its slot.
type Slot struct {
	ID           uint
	Label        string
	Serial       string
	Manufacturer string
	Model        string
	Description  string // of the slot
	flags        uint
	sessions     uint // that the token allows at a time; unlimited where it does not say
}

const unlimited = ^uint(0)

// String names token and slot in the midst of a sentence.
func (s Slot) String() string {
	name := fmt.Sprintf("token %q", s.Label)
	if s.Serial != "" {
		name += fmt.Sprintf(", serial number %s", plain.ClipTo(plain.Line(s.Serial), 64))
	}
	return name + fmt.Sprintf(", in slot %d (%s)", s.ID, plain.ClipTo(plain.Line(s.Description), 64))
}

// find gives the one token that a URI names.
func find(uri URI) (Slot, error) {
	loading.Lock()
	defer loading.Unlock()
	present, err := list(uri.Module)
	if err != nil {
		return Slot{}, err
	}
	var found []Slot
	for _, slot := range present {
		if uri.names(slot) {
			found = append(found, slot)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Slot{}, &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("token %s is not there: module %s has %s", uri.tokenName(), uri.Module, join(present)),
			Hint: "plug it in, or name another"}
	}
	return Slot{}, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("%d tokens match %s: %s", len(found), uri.tokenName(), join(found)),
		Hint: "tell them apart by serial=NUMBER in the URI"}
}

func (u URI) names(slot Slot) bool {
	matches := func(want, have string) bool { return want == "" || want == have }
	return matches(u.Token, slot.Label) && matches(u.Serial, slot.Serial) && matches(u.Manufacturer, slot.Manufacturer) &&
		matches(u.Model, slot.Model) && (u.SlotID == nil || *u.SlotID == slot.ID)
}

// tokenName is the part of a URI that is about the token.
func (u URI) tokenName() string {
	u.Object, u.ID = "", nil
	name, _, _ := strings.Cut(u.String(), "?")
	return fmt.Sprintf("%q", strings.TrimPrefix(name, Scheme))
}

func join(slots []Slot) string {
	var names []string
	for _, slot := range slots {
		names = append(names, slot.String())
	}
	if names == nil {
		return "no token"
	}
	return strings.Join(names, "; ")
}

// load gives a module's functions. The caller calls Destroy.
func load(path string) (*p11.Ctx, error) {
	refuse := func(err error) error {
		return &capf.Error{Code: capf.CodeInvalid, Message: "PKCS #11 module " + path, Err: err, Hint: "give the path of the library that came with the token"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, refuse(err)
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(errors.New("is no file"))
	}
	module := p11.New(path)
	if module == nil {
		return nil, refuse(errors.New("cannot be loaded as a PKCS #11 library for this machine"))
	}
	return module, nil
}

// list gives the tokens that are there. The module is left as initialized as it was. The caller holds loading.
func list(path string) (present []Slot, err error) {
	module, err := load(path)
	if err != nil {
		return nil, err
	}
	defer module.Destroy()
	switch err := module.Initialize(); {
	case err == nil:
		defer func() { _ = module.Finalize() }()
	case !isOneOf(err, []p11.Error{p11.CKR_CRYPTOKI_ALREADY_INITIALIZED}):
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "PKCS #11 module " + path + " does not start", Err: err, Hint: "see what its own configuration needs"}
	}
	ids, err := module.GetSlotList(true)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeUnavailable, Message: "list the tokens of PKCS #11 module " + path, Err: err}
	}
	for _, id := range ids {
		// A slot whose token goes at this moment is one without a token.
		if slot, err := describe(module, id); err == nil && slot.flags&p11.CKF_TOKEN_INITIALIZED != 0 {
			present = append(present, slot)
		}
	}
	return present, nil
}

func describe(module *p11.Ctx, id uint) (Slot, error) {
	token, err := module.GetTokenInfo(id)
	if err != nil {
		return Slot{}, err
	}
	slot := Slot{ID: id, Label: trimmed(token.Label), Serial: trimmed(token.SerialNumber), Manufacturer: trimmed(token.ManufacturerID),
		Model: trimmed(token.Model), flags: token.Flags, sessions: token.MaxRwSessionCount}
	if slot.sessions == p11.CK_EFFECTIVELY_INFINITE {
		slot.sessions = unlimited // as is CK_UNAVAILABLE_INFORMATION
	}
	if info, err := module.GetSlotInfo(id); err == nil {
		slot.Description = trimmed(info.SlotDescription)
	}
	return slot, nil
}

// trimmed takes the padding off a text of a module.
func trimmed(text string) string { return strings.TrimRight(text, " \x00") }
