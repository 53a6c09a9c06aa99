package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"capf/internal/plain"
	"capf/runtime/capf"
)

// traces writes what a Troubleshoot fetched into a folder, one file a phone and kind.
type traces struct{ folder string }

// WriteTrace writes `<DEVICE>-LSC.txt` or `-MIC.txt`: the certificate's text and PEM, or that the phone had
// none.
func (t traces) WriteTrace(device string, kind capf.CertificateKind, certificate *x509.Certificate, at time.Time) error {
	if err := os.MkdirAll(t.folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return traceError(device, err)
	}
	word := strings.ToUpper(string(kind))
	content := fmt.Sprintf("%s of %s, fetched %s\n\n", word, device, capf.FormatTime(at))
	if certificate == nil {
		content += "The phone has no " + word + ".\n"
	} else {
		content += describe(certificate)
	}
	// The device name came through capf.ParseDevice: it has no separators.
	path := filepath.Join(t.folder, fmt.Sprintf("%s-%s.txt", device, word))
	if err := renameio.WriteFile(path, []byte(content), 0o600); err != nil {
		return traceError(device, err)
	}
	return nil
}

func traceError(device string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "write the trace of " + device, Err: err, Hint: "check space and permissions"}
}

// describe gives a certificate as text and PEM. What the phone has put in it that no terminal must obey, and no line
// must break at, is between quotes and escaped.
func describe(c *x509.Certificate) string {
	var text bytes.Buffer
	line := func(name string, value any) {
		words := fmt.Sprint(value)
		if !plain.IsPrintable(words) {
			words = strconv.Quote(words)
		}
		fmt.Fprintf(&text, "%-20s %s\n", name+":", words)
	}
	line("Subject", c.Subject)
	line("Issuer", c.Issuer)
	line("Serial number", capf.FormatSerial(c.SerialNumber))
	line("Not before", capf.FormatTime(c.NotBefore))
	line("Not after", capf.FormatTime(c.NotAfter))
	line("Public key", describeKey(c))
	line("Signature", c.SignatureAlgorithm)
	line("Key usage", strings.Join(keyUsages(c.KeyUsage), ", "))
	line("SHA-256", capf.HexSHA256(c.Raw))
	text.WriteString("\n")
	_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	return text.String()
}

func describeKey(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC, " + key.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

var usageNames = []struct {
	usage x509.KeyUsage
	name  string
}{
	{x509.KeyUsageDigitalSignature, "digitalSignature"},
	{x509.KeyUsageContentCommitment, "nonRepudiation"},
	{x509.KeyUsageKeyEncipherment, "keyEncipherment"},
	{x509.KeyUsageDataEncipherment, "dataEncipherment"},
	{x509.KeyUsageKeyAgreement, "keyAgreement"},
	{x509.KeyUsageCertSign, "keyCertSign"},
	{x509.KeyUsageCRLSign, "cRLSign"},
}

func keyUsages(usage x509.KeyUsage) []string {
	var names []string
	for _, known := range usageNames {
		if usage&known.usage != 0 {
			names = append(names, known.name)
		}
	}
	return names
}
