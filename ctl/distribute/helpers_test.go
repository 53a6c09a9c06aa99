//go:debug rsa1024min=0

package distribute

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"capf/ctl"
)

const data = "../../testdata/ctl"

// capfFile is where the CAPF certificate of the test data goes, by its common name.
const capfFile = "Certificates/CAPF-1A2B3C4D.0"

func certificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(data, "servers", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// list builds a list at a time with two tokens, of which the first signs.
func list(t testing.TB, at int64, signer, other string) []byte {
	t.Helper()
	return build(t, ctl.Contents{Timestamp: time.Unix(at, 0)}, signer, other)
}

// itl is list for an ITL.
func itl(t testing.TB, at int64, signer, other string) []byte {
	t.Helper()
	return build(t, ctl.Contents{Timestamp: time.Unix(at, 0), ITL: true}, signer, other)
}

func build(t testing.TB, contents ctl.Contents, signer, other string) []byte {
	t.Helper()
	var tokens []*ctl.Token
	for _, name := range []string{signer, other} {
		token, err := ctl.LoadToken(filepath.Join(data, "tokens", name+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
		contents.Tokens = append(contents.Tokens, ctl.SAST{Name: name, Certificate: token.Certificate})
	}
	server := ctl.Server{Name: "pub", Address: netip.MustParseAddr("10.1.2.3"), Role: ctl.RoleCCMTFTP, Certificate: certificate(t, "publisher")}
	contents.Servers = []ctl.Server{server}
	server.Certificate = certificate(t, "capf")
	contents.CAPF = []ctl.Server{server}
	raw, err := ctl.Build(contents, tokens[0])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func payload(t testing.TB, list []byte) *Payload {
	t.Helper()
	made, err := NewPayload(Certificates{InForce: certificate(t, "capf")}, list)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// node makes a node with an empty folder as its target.
func node(t testing.TB, name string) (Node, string) {
	t.Helper()
	folder := t.TempDir()
	return Node{Name: name, Target: "file://" + filepath.ToSlash(folder)}, folder
}

// tree returns the files below a folder by their path.
func tree(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func put(t testing.TB, folder, name string, content []byte) {
	t.Helper()
	path := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wholeFiles is what a node holds when everything is in place.
func wholeFiles(t testing.TB, list []byte) map[string]string {
	t.Helper()
	capf := certificate(t, "capf")
	return map[string]string{
		"Certificates/CAPF.cer": string(capf.Raw),
		capfFile:                string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: capf.Raw})),
		"TFTPPath/CTLFile.tlv":  string(list),
	}
}

// with returns options under which folders are opened through a wrapper.
func with(wrap func(Target) Target) Options {
	return Options{Openers: map[string]Opener{"file": func(ctx context.Context, address *url.URL) (Target, error) {
		target, err := OpenFolder(ctx, address)
		if err != nil {
			return nil, err
		}
		return wrap(target), nil
	}}}
}

// pipe makes a named pipe, the reader of which would wait.
func pipe(folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return syscall.Mkfifo(filepath.Join(folder, name), 0o644)
}

// sparse makes a long file that takes no room.
func sparse(folder, name string, size int64) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name), nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(filepath.Join(folder, name), size)
}
