package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"capf/legacy"
	"capf/legacy/phonefile"
	"capf/runtime/capf"
)

// record is what is remembered of a record of a phone while records are compared: all but its bytes.
type record struct {
	machine string
	file    string
	line    int
	device  string
	digest  [sha256.Size]byte // of its bytes
	content [sha256.Size]byte // of what it says

	time        legacy.Time
	status      capf.Status    // none, pending, success, failed
	operation   capf.Operation // that is pending or has ended; none where the status is
	mode        capf.AuthMode  // empty: the file does not say
	keySize     capf.KeySize   // empty: the file does not say
	secret      capf.AuthenticationString
	description string // as it will be stored; may come from another record of the phone

	known   bool         // the store has it already
	verdict capf.Verdict // set by settle
	settled *settlement  // of the record that a phone is taken from, where there is more to know than the record
}

// newRecord reads the meaning of a record; what is doubtful about it goes to the doubts.
func newRecord(machine string, from *phonefile.Record, file *phonefile.File, doubts *doubts) record {
	out := record{
		machine: machine, file: from.File, line: from.Line, device: from.Device,
		digest: sha256.Sum256(from.Bytes), content: contentOf(from), time: from.StatusTime,
		mode: capf.AuthMode(from.AuthenticationMode), description: storable(from.Description),
	}
	if from.KeySize != 0 {
		out.keySize = capf.KeySize(strconv.Itoa(from.KeySize))
	}
	if out.description != from.Description {
		doubts.add(from.Position, "description is longer than 128 bytes or has control characters: stored without the rest")
	}
	out.status, out.operation = statusOf(from, file, doubts)
	if out.usesString() {
		// The reader has checked its shape; one that is none is no string.
		out.secret, _ = capf.ParseAuthenticationString(from.AuthenticationString.Reveal())
	}
	return out
}

// statusOf says how far which operation has come.
func statusOf(from *phonefile.Record, file *phonefile.File, doubts *doubts) (capf.Status, capf.Operation) {
	operation := capf.Operation(from.Operation)
	named := operation != "" && operation != capf.OperationNone
	switch from.State {
	case legacy.StateSuccess, legacy.StateFailed:
		if !named {
			operation = capf.Operation(endedOperation(from, file.Dialect))
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

// contentOf is equal for records that say the same, wherever and in which words they say it. Columns without a meaning
// to us play no part: no choice between records would hang on them.
func contentOf(from *phonefile.Record) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %d %q %v %q %v %q", from.Device, from.Operation, from.State,
		from.AuthenticationMode, from.AuthenticationString.Reveal(), from.KeySize,
		from.StatusTime.String(), from.StatusTime.Absolute, from.CompletesBy.String(), from.CompletesBy.Absolute, from.Description))
}

// maxDescription is the length in bytes that the domain takes.
const maxDescription = 128

// storable is a description without what the domain refuses.
func storable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxDescription {
		return text
	}
	return strings.TrimSpace(strings.ToValidUTF8(text[:maxDescription], ""))
}

// usesString tells whether an authentication string has a meaning in it: the mode of new phones is by string.
func (r *record) usesString() bool {
	return r.status == capf.StatusPending && (r.mode == "" || r.mode == capf.AuthByString)
}

func (r *record) position() legacy.Position { return legacy.Position{File: r.file, Line: r.line} }

func (r *record) hexDigest() string { return hex.EncodeToString(r.digest[:]) }

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
