package usecallmanager

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"
	"unicode/utf8"

	"capf/legacy"
	"capf/legacy/certfile"
)

// value is what one column of a row has.
type value struct {
	content any   // nil, int64, float64, string or []byte
	size    int64 // in bytes
	// withheld tells that it is, or holds, a private key; content is nil then and the digest is over its bytes.
	withheld bool
	digest   [sha256.Size]byte
	oversize bool // larger than is read
}

func newValue(content any, size int64) value {
	out := value{content: content, size: size, oversize: content == nil && size > 0}
	if raw := out.bytes(); holdsKey(raw) {
		out.withheld, out.digest = true, sha256.Sum256(raw)
	}
	return out
}

// bytes gives text and blobs as they are stored, numbers as text, nothing for NULL.
func (v value) bytes() []byte {
	switch content := v.content.(type) {
	case string:
		return []byte(content)
	case []byte:
		return content
	case nil:
		return nil
	default:
		return fmt.Append(nil, content)
	}
}

// holdsKey tells whether bytes are, or have in them, a private key in PEM or DER, whole or torn. Most values are short
// words, which are not looked at further.
func holdsKey(content []byte) bool {
	const shortest = 16
	if len(content) < shortest {
		return false
	}
	plain := bytes.ToLower(bytes.ReplaceAll(content, []byte{0}, nil))
	if content[0] != 0x30 && !bytes.Contains(plain, []byte("private key")) && !bytes.Contains(plain, []byte("-----begin")) || isCertificate(content) {
		return false
	}
	// Bytes in memory do not fail to be read.
	read, err := certfile.Read(legacy.BytesInput("", content), certfile.Options{})
	if err != nil {
		return true
	}
	for _, kept := range read.Kept {
		if kept.PrivateKey {
			return true
		}
	}
	return false
}

// isCertificate knows the one thing that most rows have: a certificate in PEM and nothing else.
func isCertificate(content []byte) bool {
	content = bytes.TrimSpace(content)
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || len(rest) > 0 || !bytes.HasPrefix(content, []byte("-----BEGIN CERT")) {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}

// row is a row of the table; its number is its place among all, from 1.
type row struct {
	number int
	values []value
}

// text gives a column as text, without the key that it may hold; empty where the table does not have it.
func (r row) text(t *table, meaning columnMeaning) string {
	at := t.index(meaning)
	if at < 0 || r.values[at].withheld {
		return ""
	}
	return string(r.values[at].bytes())
}

func (r row) oversize() bool {
	for _, one := range r.values {
		if one.oversize {
			return true
		}
	}
	return false
}

// encode writes the row as one line of JSON, the columns in their order: these are the bytes that are kept of it. Text
// that is not UTF-8 and blobs are hexadecimal; of a private key, and of what is too large, there is the size only.
func (r row) encode(t *table) []byte {
	out := []byte{'{'}
	for i, one := range r.values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, encoded(t.columns[i].name)...), ':')
		out = append(out, one.encode()...)
	}
	return append(out, "}\n"...)
}

func (v value) encode() []byte {
	switch content := v.content.(type) {
	case nil:
		if v.oversize {
			return encoded(map[string]int64{"bytes-too-many": v.size})
		}
		return []byte("null")
	case int64:
		return strconv.AppendInt(nil, content, 10)
	}
	raw := v.bytes()
	if v.withheld {
		return encoded(map[string]string{"private-key-sha256": hex.EncodeToString(v.digest[:])})
	}
	text, isText := v.content.(string)
	switch {
	case isText && utf8.ValidString(text):
		return encoded(text)
	case isText:
		return encoded(map[string]string{"text": hex.EncodeToString(raw)})
	}
	if number, isNumber := v.content.(float64); isNumber {
		return encoded(map[string]string{"real": strconv.FormatFloat(number, 'g', -1, 64)})
	}
	return encoded(map[string]string{"blob": hex.EncodeToString(raw)})
}

// encoded is JSON of what always has one.
func encoded(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return []byte("null") // strings, numbers and maps of them encode
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}
