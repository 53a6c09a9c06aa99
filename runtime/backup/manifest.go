package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"capf/runtime/capf"
)

// Format is the version of the layout that this package writes and reads.
const Format = 1

const (
	manifestName = "capf-backup.json"
	digestName   = "capf-backup.sha256"

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

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32 && text == strings.ToLower(text)
}

// isText lets through what can be printed in one line; the replacement character is what JSON makes of bytes
// that are no text.
func isText(text string) bool {
	return len(text) <= maxText && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// total gives the bytes of all members.
func (m Manifest) total() (bytes int64) {
	for _, member := range m.Members {
		bytes += member.Size
	}
	return bytes
}
