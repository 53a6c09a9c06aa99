package usecallmanager

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"capf/legacy/certfile"
	"capf/legacy/text"
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

// holdsKey tells whether bytes have a private key in PEM in them, whole or torn, or are one in DER.
func holdsKey(content []byte) bool {
	return text.HasPrivateKey(content) || certfile.IsPrivateKey(content)
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
