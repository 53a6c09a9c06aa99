package capf

import (
	"fmt"
	"path"
	"strings"
	"time"

	"capf/internal/plain"
)

// PhoneFilter says which phones a list shows; a field that is empty or nil lets every phone through.
type PhoneFilter struct {
	Device        string // a name, or a pattern with * ? [..] as in path.Match; in any case for SEP and a MAC address
	Operation     *Operation
	Status        *Status
	AuthMode      *AuthMode
	LSCStatus     *LSCStatus
	ExpiresBefore time.Time // only phones whose LSC ends before
}

// deviceMarks are the characters that make a name a pattern.
const deviceMarks = `*?[\`

// Normalise checks the pattern, and gives a plain name the form under which it is stored.
func (f PhoneFilter) Normalise() (PhoneFilter, error) {
	if !strings.ContainsAny(f.Device, deviceMarks) {
		if device, err := ParseDevice(f.Device); err == nil {
			f.Device = device
		}
		return f, nil
	}
	if _, err := path.Match(f.Device, ""); err != nil {
		return f, &Error{Code: CodeInvalid, Message: fmt.Sprintf("device pattern %q", plain.Clip(f.Device)),
			Hint: "use * ? and [..], as in SEP0011*", Err: err}
	}
	return f, nil
}

// DevicePrefix gives the text with which every matching device begins, and whether it is the whole name.
func (f PhoneFilter) DevicePrefix() (prefix string, whole bool) {
	if f.Device == "" {
		return "", false
	}
	i := strings.IndexAny(f.Device, deviceMarks)
	if i < 0 {
		return f.Device, true
	}
	prefix = f.Device[:i]
	if raised := strings.ToUpper(prefix); raised != prefix { // both are looked for
		for i = 0; prefix[i] == raised[i]; i++ {
		}
	}
	return prefix[:i], false
}

// matchesDevice compares as names are given: of SEP and a MAC address case does not matter, of other names it does.
func (f PhoneFilter) matchesDevice(device string) bool {
	if match, err := path.Match(f.Device, device); err == nil && match {
		return true
	}
	raised := strings.ToUpper(f.Device)
	if raised == f.Device || !isNormalised(device) || !strings.ContainsAny(f.Device, deviceMarks) {
		return false
	}
	match, err := path.Match(raised, device)
	return err == nil && match
}

// Matches reports whether the phone passes; the filter must have come from Normalise.
func (f PhoneFilter) Matches(phone *Phone, at Moment) bool {
	if f.Device != "" && !f.matchesDevice(phone.Device) {
		return false
	}
	if !f.ExpiresBefore.IsZero() && (phone.LSC == nil || !phone.LSC.NotAfter.Before(f.ExpiresBefore)) {
		return false
	}
	return isWanted(f.Operation, phone.PendingOperation(at.Now)) &&
		isWanted(f.Status, phone.Last.Status(at.Now, at.Living)) &&
		isWanted(f.AuthMode, phone.AuthMode) &&
		isWanted(f.LSCStatus, phone.LSCStatus(at.Now))
}

func isWanted[T comparable](wanted *T, value T) bool { return wanted == nil || *wanted == value }

// ApplyMode says what a set of changes expects of the phones that it names.
type ApplyMode string

// The ways to apply changes.
const (
	ApplyAdd    ApplyMode = "add"    // none of the phones may exist
	ApplySet    ApplyMode = "set"    // all of them must
	ApplyUpsert ApplyMode = "upsert" // those that do not exist are added
)

// PhoneGroup is a number of phones that read alike at one moment: in what is known of their certificates, and in
// how it stands with their last operation.
type PhoneGroup struct {
	Phone Phone // as any of them, as far as that goes: LSCKnown, MIC, the end of LSC, and Last without names
	Count int
}
