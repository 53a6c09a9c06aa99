package distribute

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"path"
)

// The kinds of temporary files.
const (
	kindNew   = "new"   // what is to become the file
	kindKept  = "kept"  // what is to become `<file>.old`
	kindCheck = "check" // tries whether a folder can be written to
	kindAside = "aside" // the file itself, while a server without a replacing rename changes it
)

// temporary returns the name beside a file for our own use. It is the same for every run of an instance, which
// runs one at a time (Lock), so that a run finds what an earlier one has left behind without reading the folder;
// and no two instances ever write to one file.
func temporary(instance, kind, name string) string {
	sum := sha256.Sum256([]byte(instance + "\x00" + name))
	return path.Join(path.Dir(name), ".capf-"+hex.EncodeToString(sum[:8])+"."+kind)
}

// newInstance returns a name that nobody has.
func newInstance() string {
	var random [16]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
