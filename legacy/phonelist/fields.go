package phonelist

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"capf/legacy"
	"capf/legacy/phonefile"
)

// values are those of one line by their fields.
type values map[field]string

// fill reads a line into a record, or says why it is not understood.
func fill(record *phonefile.Record, columns []column, given []string) (problem string) {
	said := values{}
	for i, column := range columns {
		value := unguarded(given[i])
		switch {
		case isEmpty(value):
		case column.field == "":
			record.Extra = append(record.Extra, phonefile.Extra{Name: column.name, Value: legacy.NewSecret(value),
				Secret: legacy.IsSecretKey(column.name)})
		default:
			said[column.field] = value
		}
	}
	record.Description = said[description]
	for _, step := range []func(*phonefile.Record, values) string{fillDevice, fillOperation, fillState, fillAuthentication, fillKey, fillTimes} {
		if problem := step(record, said); problem != "" {
			return problem
		}
	}
	return ""
}

func isEmpty(value string) bool {
	return value == "" || value == "-" || strings.EqualFold(value, "n/a")
}

// unguarded takes off the quote that is put before text which a spreadsheet would run as a formula (cli.md), and the
// form ="…" by which spreadsheets are told that figures are text.
func unguarded(value string) string {
	if inner := strings.TrimLeft(value, "'"); inner != value && inner != "" && strings.IndexByte("=+-@", inner[0]) >= 0 {
		return value[1:]
	}
	if len(value) > 3 && strings.HasPrefix(value, `="`) && strings.HasSuffix(value, `"`) {
		return value[2 : len(value)-1]
	}
	return value
}

func unknown(name field, value, want string) string {
	const longest = 40
	value = legacy.MaskText(value)
	if utf8.RuneCountInString(value) > longest {
		value = string([]rune(value)[:longest]) + "…"
	}
	return fmt.Sprintf("%s: %q is not %s", name, value, want)
}

func fillDevice(record *phonefile.Record, said values) string {
	given, ok := said[device]
	if !ok {
		return "no device is given"
	}
	if record.Device, ok = legacy.DeviceName(given); !ok {
		return unknown(device, given, "the name of a device")
	}
	return ""
}

var operations = map[string]legacy.Operation{
	"none": legacy.OperationNone, "nooperation": legacy.OperationNone, "nopendingoperation": legacy.OperationNone,
	"install": legacy.OperationInstall, "upgrade": legacy.OperationInstall, "installupgrade": legacy.OperationInstall,
	"delete": legacy.OperationDelete, "troubleshoot": legacy.OperationTroubleshoot,
}

func fillOperation(record *phonefile.Record, said values) string {
	given, ok := said[operation]
	if !ok {
		return ""
	}
	if record.Operation, ok = operations[legacy.Normalise(given)]; !ok {
		return unknown(operation, given, "an operation")
	}
	return ""
}

var states = map[string]legacy.State{
	"none": legacy.StateNone, "operationpending": legacy.StatePending, "pending": legacy.StatePending,
	"inprogress": legacy.StatePending, "success": legacy.StateSuccess, "failed": legacy.StateFailed, "expired": legacy.StateFailed,
}

// stateOf reads a state, with the operation that has ended where the word names it, as in "Upgrade Failed".
func stateOf(text string) (found legacy.State, ended legacy.Operation, ok bool) {
	word := legacy.Normalise(text)
	if found, ok = states[word]; ok {
		return found, "", true
	}
	for ending, found := range map[string]legacy.State{"success": legacy.StateSuccess, "failed": legacy.StateFailed} {
		if named, cut := strings.CutSuffix(word, ending); cut {
			ended, ok = operations[named]
			return found, ended, ok && ended != legacy.OperationNone
		}
	}
	return "", "", false
}

// fillState reads the state from one column or from both, which must agree.
func fillState(record *phonefile.Record, said values) string {
	for _, name := range []field{state, stateText} {
		given, there := said[name]
		if !there {
			continue
		}
		found, ended, ok := stateOf(given)
		if !ok {
			return unknown(name, given, "the state of an operation")
		}
		if record.State != "" && record.State != found {
			return fmt.Sprintf("%s says %s, %s says %s", state, record.State, stateText, found)
		}
		record.State = found
		if ended != "" {
			record.Ended = ended
		}
	}
	return ""
}

var modes = map[string]legacy.AuthenticationMode{
	"authenticationstring": legacy.ModeAuthenticationString, "nullstring": legacy.ModeNullString,
	"existingcertificatelsc":             legacy.ModeExistingCertificateLSC,
	"existingcertificateprecedencetolsc": legacy.ModeExistingCertificateLSC,
	"existingcertificatemic":             legacy.ModeExistingCertificateMIC,
	"existingcertificateprecedencetomic": legacy.ModeExistingCertificateMIC,
}

func fillAuthentication(record *phonefile.Record, said values) string {
	if given, there := said[mode]; there {
		found, ok := modes[strings.TrimPrefix(legacy.Normalise(given), "by")]
		if !ok {
			return unknown(mode, given, "an authentication mode")
		}
		record.AuthenticationMode = found
	}
	if given, there := said[authString]; there && !strings.EqualFold(given, "none") {
		if len(given) < 4 || len(given) > 10 || strings.Trim(given, "0123456789") != "" {
			return fmt.Sprintf("%s: is not 4 to 10 digits", authString)
		}
		record.AuthenticationString = legacy.NewSecret(given)
	}
	return ""
}

var (
	keySizes = map[string]int{"512": 512, "1024": 1024, "2048": 2048, "3072": 3072, "4096": 4096}
	curves   = map[string]string{"p256": "p256", "p384": "p384", "p521": "p521", "256": "p256", "384": "p384", "521": "p521"}
)

// fillKey reads the size of an RSA key, or of an EC key where the list says that the phone is to have none but such.
func fillKey(record *phonefile.Record, said values) string {
	given, order := said[keySize], legacy.Normalise(said[keyOrder])
	if order != "" && !slices.Contains([]string{"rsaonly", "econly", "ecpreferredrsabackup"}, order) {
		return unknown(keyOrder, said[keyOrder], "an order of keys")
	}
	if order == "econly" || given == "" && said[ecKeySize] != "" {
		given = said[ecKeySize]
		if record.Curve = curves[legacy.Normalise(given)]; record.Curve == "" {
			return unknown(ecKeySize, given, "256, 384 or 521")
		}
		return ""
	}
	if given == "" {
		return ""
	}
	// Our own report has both kinds in one column.
	if record.Curve = curves[given]; record.Curve != "" && strings.HasPrefix(given, "p") {
		return ""
	}
	size, ok := keySizes[given]
	if record.KeySize, record.Curve = size, ""; !ok {
		return unknown(keySize, given, "the size of a key")
	}
	return ""
}

// layouts are those of our report and of CallManager, whose hour has no minutes. There is none with day and month in
// figures between slashes, which can be read in two ways.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006:01:02:15:04", "2006:01:02:15"}

// fillTimes reads times. One by which an operation was to be completed is of no use any more (it gets a new one), so
// that one which cannot be read is only kept beside.
func fillTimes(record *phonefile.Record, said values) string {
	if given, there := said[statusTime]; there {
		found, ok := readTime(given)
		if !ok {
			return unknown(statusTime, given, "a time in a form that is known")
		}
		record.StatusTime = found
	}
	given, there := said[completesBy]
	if !there {
		return ""
	}
	found, ok := readTime(given)
	if record.CompletesBy = found; !ok {
		record.Extra = append(record.Extra, phonefile.Extra{Name: string(completesBy), Value: legacy.NewSecret(given)})
	}
	return ""
}

func readTime(text string) (legacy.Time, bool) {
	for _, layout := range layouts {
		if read, err := time.Parse(layout, text); err == nil && read.Year() > 0 {
			if layout == time.RFC3339 {
				return legacy.Time{Clock: read.UTC(), Absolute: true}, true
			}
			return legacy.Time{Clock: read}, true
		}
	}
	return legacy.Time{}, false
}
