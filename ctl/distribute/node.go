package distribute

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The folders below a target unless a node names others (cli.md, `node add`).
const (
	DefaultCertificatesDir = "Certificates"
	DefaultTFTPDir         = "TFTPPath"
)

// Node is a server of the cluster, as a receiver of files.
type Node struct {
	Name            string `json:"name"`
	Target          string `json:"target"`           // file:///folder
	CertificatesDir string `json:"certificates-dir"` // below the target; empty: DefaultCertificatesDir
	TFTPDir         string `json:"tftp-dir"`         // below the target; empty: DefaultTFTPDir
}

// Validate checks name, URL and folders, without going there.
func (n Node) Validate() error {
	_, _, err := n.check(nil)
	return ofNode(n.Name, err)
}

// opening opens the target of a node that has been checked.
type opening func(context.Context) (Target, error)

// check returns the node with its folders in plain form, and how to open it.
func (n Node) check(known map[string]Opener) (Node, opening, error) {
	if n.Name == "" {
		return n, nil, errors.New("has no name")
	}
	address, open, err := parseTarget(n.Target, known)
	if err == nil && address.Scheme == "file" {
		err = checkFolderURL(address)
	}
	if err != nil {
		return n, nil, err
	}
	if n.CertificatesDir, err = cleanDir(n.CertificatesDir, DefaultCertificatesDir); err != nil {
		return n, nil, fmt.Errorf("certificates folder %w", err)
	}
	if n.TFTPDir, err = cleanDir(n.TFTPDir, DefaultTFTPDir); err != nil {
		return n, nil, fmt.Errorf("TFTP folder %w", err)
	}
	n.Target = address.String()
	if address.Scheme == "file" {
		n.Target = "file://" + path.Clean(address.Path)
	}
	return n, func(ctx context.Context) (Target, error) { return open(ctx, address) }, nil
}

// dir returns the node's folder of that kind.
func (n Node) dir(place Place) string {
	if place == CertificatesFolder {
		return n.CertificatesDir
	}
	return n.TFTPDir
}

// cleanDir checks a folder below a target.
func cleanDir(dir, usual string) (string, error) {
	if dir == "" {
		return usual, nil
	}
	parts := strings.Split(dir, "/")
	switch {
	case path.IsAbs(dir), len(dir) > 1 && dir[1] == ':':
		return "", fmt.Errorf("%q: is absolute; it must lie below the target", dir)
	case slices.Contains(parts, ".."):
		return "", fmt.Errorf("%q: has `..`; it must lie below the target", dir)
	case !printable(dir) || strings.Contains(dir, `\`):
		return "", fmt.Errorf("%q: has characters that no folder should have; separate with /", dir)
	}
	return path.Clean(dir), nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(char rune) bool { return !unicode.IsPrint(char) })
}

// Names that Windows gives to devices, whatever follows the first dot: the servers run it.
var windowsDevices = []string{
	"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$",
	"COM0", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
	"LPT0", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
}

// longestCommonName leaves room for `.0.old` in the 255 bytes that file systems give a name. X.520 allows
// 64 characters.
const longestCommonName = 240

// CertificateFileName returns `<common name>.0`. A common name may come from an import, so one that would
// leave the folder, name a device, or be no file name is refused (capf-guide.md, "Known weaknesses").
func CertificateFileName(commonName string) (string, error) {
	device, _, _ := strings.Cut(commonName, ".")
	problem := ""
	switch {
	case commonName == "":
		problem = "is empty"
	case strings.Trim(commonName, ".") == "":
		problem = "is a folder's name"
	case len(commonName) > longestCommonName:
		problem = fmt.Sprintf("has more than %d bytes", longestCommonName)
	case !printable(commonName) || strings.ContainsAny(commonName, `/\:<>"|?*`):
		problem = "has characters that no file name should have"
	case strings.TrimSpace(commonName) != commonName:
		problem = "begins or ends with a space"
	case slices.Contains(windowsDevices, strings.ToUpper(strings.TrimRight(device, " "))):
		problem = "is the name of a device on Windows"
	}
	if problem != "" {
		return "", fmt.Errorf("common name %.80q: %s, so the certificate cannot be stored as <common name>.0", commonName, problem)
	}
	return commonName + ".0", nil
}
