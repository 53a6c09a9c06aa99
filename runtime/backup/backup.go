// Package backup puts everything of a data directory that is needed to go on elsewhere into one file, and makes
// a data directory from such a file.
//
// A backup is a plain tar archive, or that archive encrypted by age (https://age-encryption.org/v1). Its first
// member is the manifest, which says what must follow: name, size and SHA-256 of each member, in their order.
// Its last member is the SHA-256 of all bytes before it. Nothing else is left open: headers, padding and the
// end are what archive/tar writes for that manifest, and the reader compares them byte by byte. So a single
// changed bit is found wherever it is, and there is no room for links, devices, sparse files or names that lead
// out of the directory. In need the file can be taken apart with tar(1).
//
// What belongs in a backup (Kept) comes from the files that cli.md and the README name: the store, the CAPF keys
// and certificates, and what a Troubleshoot fetched. Locks, the socket, the WAL, traces of sessions, copies from
// before an upgrade and earlier backups do not.
package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// The names in a data directory that a backup knows.
const (
	StoreName   = "capf.db"
	KeyFolder   = "keys"
	TraceFolder = "traces"

	certificateName   = "CAPF.cer"
	knownHostsName    = "known_hosts" // by which servers are known to the distribution
	certificateSuffix = ".0"          // behind the common name
	keySuffix         = ".pem"
)

// maxSmallFile is how large everything but the store may be, in bytes.
const maxSmallFile = 1 << 20

// longestName leaves `.0` room in the 255 bytes that file systems give a name.
const longestName = 250

// Kept reports whether a file of a data directory belongs into a backup, by its path below the directory, with
// slashes: the store, `keys/*.pem`, `CAPF.cer`, `<common name>.0`, `known_hosts`, and `traces/<DEVICE>-LSC.txt` and `-MIC.txt`.
// No other name is written to a backup or read from one.
func Kept(name string) bool {
	folder, base := path.Split(name)
	if !isPlain(base) {
		return false
	}
	switch folder {
	case "":
		return base == StoreName || isSmall(name)
	case KeyFolder + "/":
		return isSmall(name)
	case TraceFolder + "/":
		return isTrace(base)
	}
	return false
}

// isPlain refuses what could lead out of a folder, or is hidden or half written.
func isPlain(base string) bool {
	return base != "" && len(base) <= longestName && base[0] != '.' && plain.IsPrintable(base) && !strings.ContainsAny(base, `/\`)
}

// isSmall tells the few files that belong to the store: CAPF's own keys and certificates, and whom to trust.
func isSmall(name string) bool {
	folder, base := path.Split(name)
	if folder == KeyFolder+"/" {
		return strings.HasSuffix(base, keySuffix)
	}
	return folder == "" && (base == certificateName || base == knownHostsName || strings.HasSuffix(base, certificateSuffix))
}

// isTrace tells what a Troubleshoot fetched from the traces of sessions.
func isTrace(base string) bool {
	device, found := strings.CutSuffix(base, "-LSC.txt")
	if !found {
		device, found = strings.CutSuffix(base, "-MIC.txt")
	}
	if !found {
		return false
	}
	normal, err := capf.ParseDevice(device)
	return err == nil && normal == device
}

// passing are the names in a data directory that are no use elsewhere: they come and go with a process or an
// upgrade.
var passing = []string{"serve.lock", "serve.sock", "distribute.lock", "migrate.lock", StoreName + "-wal", StoreName + "-shm", StoreName + "-journal", KeyFolder, TraceFolder, scratchName}

// isForeign reports whether a name at the top of a data directory is none that capf makes.
func isForeign(name string) bool {
	return !slices.Contains(passing, name) && !Kept(name) && !strings.HasPrefix(name, StoreName+".schema-") && !strings.HasPrefix(name, ".")
}

// Format is the version of the layout that this package writes and reads.
const Format = 1

const (
	// A manifest has about 150 bytes for a member: 100,000 phones with both traces come to 30 MiB.
	maxManifest = 64 << 20
	maxText     = 300
)

// Manifest says what a backup holds.
type Manifest struct {
	Format    int       `json:"format"`
	CreatedAt time.Time `json:"created-at"` // UTC, whole seconds
	Machine   string    `json:"machine"`    // where it was made, for a person; may be empty
	Contents
	Members []Member `json:"members"` // the store first
}

// Contents says what a data directory is, as its files tell.
type Contents struct {
	Schema   int64  `json:"schema"`   // of the store
	Identity string `json:"identity"` // the CAPF certificate in force, for a person; empty for none
	SHA256   string `json:"identity-sha256"`
}

// Member is one file.
type Member struct {
	Name   string `json:"name"`   // below the data directory, with slashes
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hex
}

func (m Manifest) encode() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(m); err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	if out.Len() > maxManifest {
		return nil, fmt.Errorf("%d files are more than a backup has room for", len(m.Members))
	}
	return out.Bytes(), nil
}

// decodeManifest takes only what encode would have written. Of another format it says so before anything else.
func decodeManifest(raw []byte) (Manifest, error) {
	var other struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &other); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	if other.Format != Format {
		return Manifest{}, &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("the backup has format %d; this program knows format %d", other.Format, Format),
			Hint: "use the capf that wrote it, or a newer one"}
	}
	var manifest Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	again, err := manifest.encode()
	if err != nil {
		return Manifest{}, err
	}
	if !bytes.Equal(raw, again) {
		return Manifest{}, errors.New("manifest: is not written as capf writes it")
	}
	return manifest, nil
}

func (m Manifest) validate() error {
	switch {
	case m.Format != Format:
		return fmt.Errorf("manifest: format %d", m.Format)
	case m.Schema < 1:
		return fmt.Errorf("manifest: schema %d", m.Schema)
	case m.CreatedAt.Unix() < 0 || m.CreatedAt.Unix() >= 1<<33 || m.CreatedAt != m.CreatedAt.UTC().Truncate(time.Second): // eleven octal digits
		return errors.New("manifest: time in created-at")
	case !isText(m.Machine), !isText(m.Identity):
		return errors.New("manifest: characters in machine or identity")
	case (m.SHA256 != "") != (m.Identity != "") || m.SHA256 != "" && !isDigest(m.SHA256):
		return errors.New("manifest: identity-sha256")
	case len(m.Members) == 0 || m.Members[0].Name != StoreName:
		return errors.New("manifest: the store is not the first member")
	}
	seen := make(map[string]bool, len(m.Members))
	for _, member := range m.Members {
		if err := member.validate(); err != nil {
			return err
		}
		if seen[member.Name] {
			return fmt.Errorf("manifest: member %q twice", member.Name)
		}
		seen[member.Name] = true
	}
	return nil
}

func (m Member) validate() error {
	switch {
	case !Kept(m.Name):
		return fmt.Errorf("manifest: member %.80q is nothing that belongs in a data directory", m.Name)
	case m.Size < 0 || m.Size > maxSmallFile && m.Name != StoreName:
		return fmt.Errorf("manifest: member %q with %d bytes", m.Name, m.Size)
	case !isDigest(m.SHA256):
		return fmt.Errorf("manifest: SHA-256 of member %q", m.Name)
	}
	return nil
}

// isText lets through what can be printed in one line; the replacement character is what JSON makes of bytes
// that are no text.
func isText(text string) bool {
	return len(text) <= maxText && plain.IsPrintable(text) && !strings.ContainsRune(text, '\uFFFD')
}

// total gives the bytes of all members.
func (m Manifest) total() (bytes int64) {
	for _, member := range m.Members {
		bytes += member.Size
	}
	return bytes
}
