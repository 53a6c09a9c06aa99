package usecallmanager

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"capf/legacy"
	"capf/legacy/phonefile"
)

var operations = map[string]legacy.Operation{
	"": "", "none": legacy.OperationNone, "install": legacy.OperationInstall, "fetch": legacy.OperationTroubleshoot,
	"delete": legacy.OperationDelete,
}

var modes = map[string]legacy.AuthenticationMode{
	"no password": legacy.ModeNullString, "password": legacy.ModeAuthenticationString, "certificate": legacy.ModeExistingCertificateLSC,
}

var curves = map[string]string{"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}

// earlyCurves were written for curves of another name.
var earlyCurves = map[string]string{"secp256k1": "p256", "secp384p1": "p384"}

var keySizes = map[string]int{"": 0, "0": 0, "512": 512, "1024": 1024, "2048": 2048, "3072": 3072, "4096": 4096}

// fill reads a row into a record, or says why it is not understood. As with files, a row that is not understood in
// every column with a meaning is kept aside whole.
func fill(record *phonefile.Record, t *table, r row) (problem string) {
	for i, one := range r.values {
		if one.oversize {
			return fmt.Sprintf("column %q has %d bytes, more than %d, or with the columns before more than %d: not kept", t.columns[i].name,
				one.size, maxValue, maxRow)
		}
	}
	for _, step := range []func(*phonefile.Record, *table, row) string{fillDevice, fillOperation, fillAuthentication, fillKey} {
		if problem := step(record, t, r); problem != "" {
			return problem
		}
	}
	for i, column := range t.columns {
		if one := r.values[i]; column.meaning == "" && !one.withheld && one.size > 0 {
			record.Extra = append(record.Extra, phonefile.Extra{Name: column.name, Value: legacy.NewSecret(string(one.bytes())),
				Secret: legacy.IsSecretKey(column.name)})
		}
	}
	return ""
}

func unknown(t *table, meaning columnMeaning, value, want string) string {
	const longest = 40
	value = legacy.MaskText(value)
	if utf8.RuneCountInString(value) > longest {
		value = string([]rune(value)[:longest]) + "…"
	}
	return fmt.Sprintf("column %q: %q is not %s", t.columns[t.index(meaning)].name, value, want)
}

func fillDevice(record *phonefile.Record, t *table, r row) string {
	given, ok := r.text(t, columnDevice), false
	if record.Device, ok = legacy.DeviceName(given); !ok {
		return unknown(t, columnDevice, given, "the name of a device")
	}
	return ""
}

// word gives a column as it is compared: earlier forms write it with a capital.
func (r row) word(t *table, meaning columnMeaning) string {
	return strings.ToLower(strings.TrimSpace(r.text(t, meaning)))
}

// fillOperation: a row holds what is to be done; the daemons put it back to none when it was done.
func fillOperation(record *phonefile.Record, t *table, r row) string {
	operation, ok := operations[r.word(t, columnOperation)]
	if !ok {
		return unknown(t, columnOperation, r.text(t, columnOperation), "none, install, fetch or delete")
	}
	record.Operation, record.State = operation, legacy.StateNone
	if operation != "" && operation != legacy.OperationNone {
		record.State = legacy.StatePending
	}
	return ""
}

func fillAuthentication(record *phonefile.Record, t *table, r row) string {
	password := r.text(t, columnPassword)
	if password != "" {
		if !isDigits(password) {
			return fmt.Sprintf("column %q: is not 4 to 10 digits", t.columns[t.index(columnPassword)].name)
		}
		if _, text := r.values[t.index(columnPassword)].content.(string); !text {
			return fmt.Sprintf("column %q: is a number, which has lost the zeros at its front", t.columns[t.index(columnPassword)].name)
		}
		record.AuthenticationString = legacy.NewSecret(password)
	}
	word := r.word(t, columnAuthentication)
	mode, known := modes[word]
	switch {
	case known:
		record.AuthenticationMode = mode
	case word != "":
		return unknown(t, columnAuthentication, word, "no password, password or certificate")
	case password != "":
		record.AuthenticationMode = legacy.ModeAuthenticationString
	case t.index(columnAuthentication) < 0:
		record.AuthenticationMode = legacy.ModeNullString
	}
	return ""
}

func isDigits(text string) bool {
	return len(text) >= 4 && len(text) <= 10 && strings.Trim(text, "0123456789") == ""
}

// fillKey: where a row has both a size and a curve, the size holds, since every phone can make an RSA key.
func fillKey(record *phonefile.Record, t *table, r row) string {
	size, ok := keySizes[r.word(t, columnKeySize)]
	if !ok {
		return unknown(t, columnKeySize, r.text(t, columnKeySize), "512, 1024, 2048, 3072 or 4096")
	}
	word := r.word(t, columnCurve)
	curve, ok := curves[word]
	if !ok && t.early {
		curve, ok = earlyCurves[word]
	}
	if !ok && word != "" && word != "none" {
		return unknown(t, columnCurve, word, "a curve that is known")
	}
	if record.KeySize = size; size == 0 {
		record.Curve = curve
	}
	return ""
}

// contradicts names the columns that say otherwise than the certificate beside them. What cannot be read as a serial
// number or a time contradicts nothing.
func (r row) contradicts(t *table, certificate *x509.Certificate) []string {
	var out []string
	if text := r.word(t, columnSerial); text != "" && !isSerial(text, certificate.SerialNumber) {
		out = append(out, "serial_number")
	}
	for _, one := range []struct {
		column columnMeaning
		time   time.Time
	}{{columnNotBefore, certificate.NotBefore}, {columnNotAfter, certificate.NotAfter}} {
		if said, ok := readTime(r.text(t, one.column)); ok && !said.Equal(one.time) {
			out = append(out, string(one.column))
		}
	}
	return out
}

// isSerial compares a serial number in hexadecimal or decimal figures.
func isSerial(text string, serial *big.Int) bool {
	text = strings.TrimPrefix(strings.ReplaceAll(text, ":", ""), "0x")
	for _, base := range []int{16, 10} {
		if read, ok := new(big.Int).SetString(text, base); ok && read.Cmp(serial) == 0 {
			return true
		}
	}
	return false
}

func readTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05-07:00"} {
		if read, err := time.Parse(layout, text); err == nil {
			return read, true
		}
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), true
	}
	return time.Time{}, false
}
