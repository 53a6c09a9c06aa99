package migrate

import (
	"crypto/sha256"
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
	number  int     // among the records of all sources, from 1
	digest  digest  // of its bytes
	content content // of what it says

	time        legacy.Time
	secret      capf.AuthenticationString
	description string // as it will be stored; may come from another record of the phone

	known   bool         // the store has it already
	verdict capf.Verdict // set by settle
	settled *settlement  // of the record that a phone is taken from, where there is more to know than the record
}

// common is what many records are alike in, so that they share it. Nobody changes it.
type common struct {
	machine   string
	file      string
	status    capf.Status    // none, pending, success, failed
	operation capf.Operation // that is pending or has ended; none where the status is
	mode      capf.AuthMode  // empty: the file does not say
	keySize   capf.KeySize   // empty: the file does not say
}

// commons has each of them once.
type commons map[common]*common

func (c commons) share(wanted common) *common {
	known := c[wanted]
	if known == nil {
		known = &wanted
		c[wanted] = known
	}
	return known
}

// digest is a SHA-256.
type digest [sha256.Size]byte

func (d digest) hex() string { return hex.EncodeToString(d[:]) }

// parseDigest reads one in hex; what is none is like no other.
func parseDigest(text string) (out digest) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(out) {
		copy(out[:], raw)
	}
	return out
}

// newRecord reads the meaning of a record; what is doubtful about it goes to the doubts.
func newRecord(machine string, from *phonefile.Record, doubts *doubts, commons commons) *record {
	description := storable(from.Description)
	if description != from.Description {
		doubts.add(from.Position, "description is longer than 128 bytes or has control characters: stored without the rest")
	}
	status, operation := statusOf(from, doubts)
	out := &record{
		common: commons.share(common{machine, from.File, status, operation, capf.AuthMode(from.AuthenticationMode), keySizeOf(from)}),
		line:   from.Line, device: from.Device,
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
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q %q %q %q %q %q %d %q", from.Device, from.Operation, from.State, from.Ended, from.AuthenticationMode,
		from.AuthenticationString.Reveal(), from.Curve, from.KeySize, from.Description)
	for _, moment := range []legacy.Time{from.StatusTime, from.CompletesBy} {
		fmt.Fprintf(hash, " %d %t", moment.Clock.Unix(), moment.Absolute)
	}
	return content(hash.Sum(nil))
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

func (r *record) hexDigest() string { return r.digest.hex() }

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
