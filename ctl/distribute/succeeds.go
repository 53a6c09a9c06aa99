package distribute

import (
	"errors"
	"path"

	"capf/ctl"
)

// IsList tells a CTL or ITL from certificates by its name, which may have folders before it.
func IsList(name string) bool { return path.Base(name) == ctl.FileName || IsITL(name) }

// IsITL is IsList for an ITL alone.
func IsITL(name string) bool { return path.Base(name) == ctl.ITLFileName }

// Succeeds tells whether phones with a list take another one that is known to come after it: that it is older by its time
// does not matter.
func Succeeds(next, previous []byte) bool {
	err := ctl.VerifySuccession(next, previous)
	return err == nil || errors.Is(err, ctl.ErrOlder)
}
