package migrate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"capf/internal/plain"
	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/runtime/capf"
)

// record is what is remembered of a record of a phone while records are compared: all but its bytes.
type record struct {
	*common
	line    int
	device  string
	number  int               // among the records of all sources, from 1
	offset  int64             // of its bytes in the file
	size    int32             // of those
	digest  [sha256.Size]byte // of its bytes
	content content           // of what it says

	time        legacy.Time
	secret      capf.AuthenticationString
	description string // as it will be stored; may come from another record of the phone

	known   bool         // the store has it already
	verdict capf.Verdict // set by settle
	settled *settlement  // of the record that a phone is taken from, where there is more to know than the record
}

// common is what many records are alike in, so that they share it: for a large cluster it would be a quarter of all that
// is remembered. Nobody changes it.
type common struct {
	machine   string
	file      string
	status    capf.Status    // none, pending, success, failed
	operation capf.Operation // that is pending or has ended; none where the status is
	mode      capf.AuthMode  // empty: the file does not say
	keySize   capf.KeySize   // empty: the file does not say
}

// commons gives each common once. The zero value is ready to use.
type commons struct{ all map[common]*common }

func (c *commons) share(wanted common) *common {
	if known := c.all[wanted]; known != nil {
		return known
	}
	if c.all == nil {
		c.all = map[common]*common{}
	}
	made := new(common)
	*made = wanted
	c.all[wanted] = made
	return made
}

// newRecord reads the meaning of a record; what is doubtful about it goes to the doubts.
func newRecord(machine string, from *phonefile.Record, doubts *doubts, commons *commons) record {
	description := storable(from.Description)
	if description != from.Description {
		doubts.add(from.Position, "description is longer than 128 bytes or has control characters: stored without the rest")
	}
	status, operation := statusOf(from, doubts)
	out := record{
		common: commons.share(common{machine: machine, file: from.File, status: status, operation: operation,
			mode: capf.AuthMode(from.AuthenticationMode), keySize: keySizeOf(from)}),
		line: from.Line, device: from.Device, offset: from.Offset, size: int32(len(from.Bytes)),
		digest: sha256.Sum256(from.Bytes), content: contentOf(from), time: from.StatusTime, description: description,
	}
	if out.usesString() {
		// The reader has checked its shape; one that is none is no string.
		out.secret, _ = capf.ParseAuthenticationString(strings.Clone(from.AuthenticationString.Reveal()))
	}
	return out
}

func keySizeOf(from *phonefile.Record) capf.KeySize {
	switch {
	case from.Curve != "":
		return capf.KeySize(from.Curve)
	case from.KeySize != 0:
		return capf.KeySize(strconv.Itoa(from.KeySize))
	}
	return ""
}

// statusOf says how far which operation has come.
func statusOf(from *phonefile.Record, doubts *doubts) (capf.Status, capf.Operation) {
	operation := capf.Operation(from.Operation)
	named := operation != "" && operation != capf.OperationNone
	switch from.State {
	case legacy.StateSuccess, legacy.StateFailed:
		if !named {
			operation = capf.Operation(from.Ended)
		}
		if operation == "" {
			doubts.add(from.Position, "an operation has ended, and nothing says which: taken for an installation")
			operation = capf.OperationInstall
		}
		return capf.Status(from.State), operation
	case legacy.StatePending:
		if named {
			return capf.StatusPending, operation
		}
		doubts.add(from.Position, "an operation is pending, and nothing says which: none is set")
	case legacy.StateNone:
		if named {
			doubts.add(from.Position, "an operation is named whose state is none: none is set")
		}
	default:
		if named {
			return capf.StatusPending, operation
		}
	}
	return capf.StatusNone, capf.OperationNone
}

// content is a digest of what a record says: the first half of a SHA-256, which is enough to tell records apart.
type content [sha256.Size / 2]byte

// contentOf is equal for records that say the same, wherever and in which words they say it. Columns without a meaning
// to us play no part: no choice between records would hang on them.
func contentOf(from *phonefile.Record) content {
	var room [256]byte
	text := room[:0]
	for _, value := range []string{from.Device, string(from.Operation), string(from.State), string(from.Ended), string(from.AuthenticationMode),
		from.AuthenticationString.Reveal(), string(from.Curve), from.Description} {
		text = binary.AppendUvarint(text, uint64(len(value)))
		text = append(text, value...)
	}
	text = binary.AppendVarint(text, int64(from.KeySize))
	for _, moment := range []legacy.Time{from.StatusTime, from.CompletesBy} {
		text = binary.AppendVarint(text, moment.Clock.Unix())
		text = strconv.AppendBool(text, moment.Absolute)
	}
	digest := sha256.Sum256(text)
	return content(digest[:len(content{})])
}

// maxDescription is the length in bytes that the domain takes.
const maxDescription = 128

// storable is a description without what the domain refuses. It is a copy: what was read is a part of its whole line.
func storable(text string) string {
	text = strings.Map(func(r rune) rune {
		if plain.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxDescription {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:maxDescription], ""))
	}
	return strings.Clone(text)
}

// usesString tells whether an authentication string has a meaning in it: the mode of new phones is by string.
func (r *record) usesString() bool {
	return r.status == capf.StatusPending && (r.mode == "" || r.mode == capf.AuthByString)
}

func (r *record) position() legacy.Position { return legacy.Position{File: r.file, Line: r.line} }

func (r *record) hexDigest() string { return hex.EncodeToString(r.digest[:]) }

// hasDigest tells whether its digest is the one in hex.
func (r *record) hasDigest(text string) bool { return isHex(r.digest, text) }

// isHex tells whether a digest is the one in hex. It takes no memory.
func isHex(digest [sha256.Size]byte, text string) bool {
	var room [2 * sha256.Size]byte
	hex.Encode(room[:], digest[:])
	return string(room[:]) == text
}

// says is the record in a few words, without the authentication string.
func (r *record) says() string {
	words := []string{}
	if r.status == capf.StatusNone {
		words = append(words, "no operation")
	} else {
		words = append(words, string(r.operation)+" "+string(r.status))
	}
	if r.mode != "" {
		words = append(words, string(r.mode))
	}
	if !r.secret.IsZero() {
		words = append(words, "with a string")
	}
	if r.keySize != "" {
		words = append(words, string(r.keySize)+" bits")
	}
	if r.description != "" {
		words = append(words, strconv.Quote(legacy.MaskText(r.description)))
	}
	return strings.Join(words, ", ")
}

// String gives place and words.
func (r *record) String() string {
	return fmt.Sprintf("%s %s: %s", r.machine, r.position(), r.says())
}
