package pkcs11

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"capf/internal/plain"
)

// Scheme begins every URI of RFC 7512.
const Scheme = "pkcs11:"

// maxURI is how long a URI may be, in bytes.
const maxURI = 4096

// URI names a token and an object in it (RFC 7512). What is empty matches everything.
type URI struct {
	Token        string // label of the token
	Manufacturer string
	Model        string
	Serial       string // of the token
	SlotID       *uint
	Object       string // label of key and certificate (CKA_LABEL)
	ID           []byte // of key and certificate (CKA_ID)
	Module       string // absolute path of the shared library
}

// IsURI reports whether a text is meant as a PKCS #11 URI rather than as the path of a file.
func IsURI(text string) bool {
	return len(text) >= len(Scheme) && strings.EqualFold(text[:len(Scheme)], Scheme)
}

// ParseURI reads a URI of RFC 7512, at most 4096 bytes. It must say which module to load (module-path) and give
// something by which the token is known. What would be ignored is refused, and so is a PIN: it would be kept with
// the URI, and shown with it. The error does not repeat a value.
func ParseURI(text string) (URI, error) {
	if len(text) > maxURI {
		return URI{}, fmt.Errorf("PKCS #11 URI: more than %d bytes", maxURI)
	}
	if !IsURI(text) {
		return URI{}, fmt.Errorf("a PKCS #11 URI begins with %q", Scheme)
	}
	path, query, _ := strings.Cut(text[len(Scheme):], "?")
	uri := URI{}
	if err := eachAttribute(path, ";", uri.setPath); err != nil {
		return URI{}, fmt.Errorf("PKCS #11 URI: %w", err)
	}
	if err := eachAttribute(query, "&", uri.setQuery); err != nil {
		return URI{}, fmt.Errorf("PKCS #11 URI: %w", err)
	}
	return uri, uri.check()
}

func (u *URI) check() error {
	switch {
	case u.Module == "":
		return errors.New("PKCS #11 URI: it does not say which module to load: end it with ?module-path=/path/of/the/library.so")
	case !filepath.IsAbs(u.Module):
		return errors.New("PKCS #11 URI: module-path is no absolute path")
	case u.Token == "" && u.Serial == "" && u.SlotID == nil:
		return errors.New("PKCS #11 URI: it does not say which token: give token=LABEL, serial=NUMBER or slot-id=NUMBER")
	}
	return nil
}

// eachAttribute takes one half of a URI apart.
func eachAttribute(text, separator string, set func(name, value string) error) error {
	if text == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(text, separator) {
		name, encoded, found := strings.Cut(part, "=")
		if !found || name == "" {
			return errors.New("a part that is not NAME=VALUE")
		}
		if seen[name] {
			return fmt.Errorf("%.40q is there twice", name)
		}
		seen[name] = true
		value, err := unescape(encoded)
		if err != nil {
			return fmt.Errorf("%.40q: %w", name, err)
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *URI) setPath(name, value string) error {
	fields := map[string]*string{"token": &u.Token, "manufacturer": &u.Manufacturer, "model": &u.Model, "serial": &u.Serial, "object": &u.Object}
	field := fields[name]
	switch {
	case field != nil:
		if value == "" {
			return fmt.Errorf("%q is empty", name)
		}
		if !plain.IsPrintable(value) {
			return fmt.Errorf("%q is no printable text", name)
		}
		*field = value
	case name == "id":
		if value == "" {
			return errors.New(`"id" is empty`)
		}
		u.ID = []byte(value)
	case name == "slot-id":
		number, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return errors.New(`"slot-id" is no decimal number`)
		}
		slot := uint(number)
		u.SlotID = &slot
	case name == "type":
		// Which object is meant follows from what it is wanted for.
		if value != "private" && value != "public" && value != "cert" {
			return errors.New(`"type" is none of private, public, cert`)
		}
	default:
		return fmt.Errorf("%.40q is not known here: use token, serial, manufacturer, model, slot-id, object, id", name)
	}
	return nil
}

func (u *URI) setQuery(name, value string) error {
	switch name {
	case "module-path":
		if !plain.IsPrintable(value) {
			return errors.New(`"module-path" is no printable text`)
		}
		u.Module = value
		return nil
	case "pin-value", "pin-source":
		return fmt.Errorf("%q: a PIN does not belong into the URI, which is kept and shown; leave it out: it comes from the environment or is asked for", name)
	case "module-name":
		return errors.New(`"module-name": give module-path, the absolute path of the library, so that always the same one is loaded`)
	}
	return fmt.Errorf("%.40q is not known here: use module-path", name)
}

// unescape takes percent-encoding off, and refuses control characters that are not encoded. Spaces and the like need not
// be, beyond the letter of RFC 7512: what a person types is clear.
func unescape(text string) (string, error) {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", errors.New("a control character")
	}
	value, err := url.PathUnescape(text)
	if err != nil {
		return "", errors.New("a % without two hex digits")
	}
	return value, nil
}

// String gives the URI in one form: what ParseURI reads as the same.
func (u URI) String() string {
	var path []string
	add := func(name, value string) {
		if value != "" {
			path = append(path, name+"="+escape(value))
		}
	}
	add("token", u.Token)
	add("manufacturer", u.Manufacturer)
	add("model", u.Model)
	add("serial", u.Serial)
	if u.SlotID != nil {
		add("slot-id", strconv.FormatUint(uint64(*u.SlotID), 10))
	}
	add("object", u.Object)
	if len(u.ID) > 0 {
		path = append(path, fmt.Sprintf("id=%s", escapeAll(u.ID)))
	}
	return Scheme + strings.Join(path, ";") + "?module-path=" + strings.ReplaceAll(escape(u.Module), "%2F", "/")
}

// escape encodes all but what RFC 3986 calls unreserved.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// escapeAll encodes every byte, as RFC 7512 asks for an id.
func escapeAll(value []byte) string {
	var out strings.Builder
	for _, c := range value {
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}
