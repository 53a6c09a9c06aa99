package distribute

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"capf/internal/plain"
)

// The folders below a target unless a node names others (cli.md, `node add`).
const (
	DefaultCertificatesDir = "Certificates"
	DefaultTFTPDir         = "TFTPPath"
)

// Node is a server of the cluster, as a receiver of files.
type Node struct {
	Name            string `json:"name"`
	Target          string `json:"target"`           // file:///folder or sftp://name@host:port/folder
	CertificatesDir string `json:"certificates-dir"` // below the target; empty: DefaultCertificatesDir
	TFTPDir         string `json:"tftp-dir"`         // below the target; empty: DefaultTFTPDir
}

// Validate checks name, URL and folders, without going there.
func (n Node) Validate() error {
	address, _, err := n.check()
	if err == nil {
		_, err = byScheme(address, schemes)
	}
	return ofNode(n.Name, err)
}

// opening opens the target of a node that has been checked.
type opening func(context.Context) (Target, error)

// opening returns the node with its folders in plain form, and how to open it. Without openers it can be a folder
// of this machine.
func (n Node) opening(known map[string]Opener) (Node, opening, error) {
	address, n, err := n.check()
	if err != nil {
		return n, nil, err
	}
	if known == nil {
		known = map[string]Opener{"file": OpenFolder}
	}
	open, err := byScheme(address, known)
	return n, func(ctx context.Context) (Target, error) { return open(ctx, address) }, err
}

// check returns the URL and the node with its folders in plain form.
func (n Node) check() (*url.URL, Node, error) {
	if n.Name == "" {
		return nil, n, errors.New("has no name")
	}
	address, err := url.Parse(n.Target)
	if err != nil {
		// The error of url.Parse quotes the URL, which may carry a password.
		return nil, n, errors.New("the target is not a readable URL: use file:///folder or sftp://name@host:port/folder")
	}
	if check, ok := schemes[address.Scheme]; ok {
		if err := check(address); err != nil {
			return nil, n, err
		}
	}
	if n.CertificatesDir, err = cleanDir(n.CertificatesDir, DefaultCertificatesDir); err != nil {
		return nil, n, fmt.Errorf("certificates folder %w", err)
	}
	if n.TFTPDir, err = cleanDir(n.TFTPDir, DefaultTFTPDir); err != nil {
		return nil, n, fmt.Errorf("TFTP folder %w", err)
	}
	return address, n, nil
}

// place is the same text for two targets that are one folder, whoever logs in there.
func (n Node) place() string {
	address, err := url.Parse(n.Target)
	if err != nil {
		return n.Target
	}
	host := strings.ToLower(address.Host)
	switch address.Scheme {
	case "file":
		host = ""
	case "sftp":
		host = hostAndPort(address)
	}
	return address.Scheme + "://" + host + path.Clean("/"+address.Path)
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
	case !plain.IsPrintable(dir) || strings.Contains(dir, `\`):
		return "", fmt.Errorf("%q: has characters that no folder should have; separate with /", dir)
	}
	return path.Clean(dir), nil
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
	case !plain.IsPrintable(commonName) || strings.ContainsAny(commonName, `/\:<>"|?*`):
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
