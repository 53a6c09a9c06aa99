package daemon

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/phonefiles"
)

// Phones are given the list that would be distributed, and nothing in its place.
func TestListsForPhones(t *testing.T) {
	store, data := sampleStore(t)
	inForce := sampleCertificate(t, "servers/capf.pem")
	lists := &fieldLists{store: store, inForce: func() *x509.Certificate { return inForce }}
	check := func(what string, kind phonefiles.Kind, code capf.Code, want []byte) {
		t.Helper()
		got, since, err := lists.List(t.Context(), kind)
		if code != "" && !capf.HasCode(err, code) || code == "" && err != nil || !bytes.Equal(got, want) || since.IsZero() != (want == nil) {
			t.Errorf("%s: %d bytes since %v, %v", what, len(got), since, err)
		}
	}
	check("no list", phonefiles.KindCTL, capf.CodeNotFound, nil)
	first, second := sample(t, "golden-sha1.tlv"), sample(t, "golden-sha512.tlv")
	keep(t, store, "golden-sha1.tlv")
	check("the first", phonefiles.KindCTL, "", first)
	check("no ITL", phonefiles.KindITL, capf.CodeNotFound, nil)
	keep(t, store, "golden-sha512.tlv")
	check("the second", phonefiles.KindCTL, "", second)
	itl := sample(t, "golden-itl.tlv")
	keepBoth(t, store, second, itl)
	check("the list beside an ITL", phonefiles.KindCTL, "", second)
	check("an ITL", phonefiles.KindITL, "", itl)
	keepBoth(t, store, second, second)
	check("a list beside one that is no ITL", phonefiles.KindCTL, capf.CodeRefused, nil)
	check("what is no ITL", phonefiles.KindITL, capf.CodeRefused, nil)
	keep(t, store, "golden-sha512.tlv")
	check("a newer list without an ITL", phonefiles.KindITL, capf.CodeNotFound, nil)

	path := filepath.Join(data, StoreFile)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	check("the store is gone", phonefiles.KindCTL, capf.CodeUnavailable, nil)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	before := inForce
	inForce = sampleCertificate(t, "servers/publisher.pem")
	check("a CAPF certificate that is not in it", phonefiles.KindCTL, capf.CodeRefused, nil)
	inForce = before
	check("that one again", phonefiles.KindCTL, "", second)
	broken := bytes.Clone(first)
	broken[len(broken)-1] ^= 1
	if _, err := store.AddCTL(t.Context(), capf.CTLVersion{Origin: capf.CTLImported, SHA256: capf.HexSHA256(broken), File: broken}, "tester"); err != nil {
		t.Fatal(err)
	}
	check("one that does not verify", phonefiles.KindCTL, capf.CodeRefused, nil)
}

// The phones that fetch files leave most of the open files to sessions, on small machines too.
func TestFileConnections(t *testing.T) {
	d := &Daemon{}
	d.options.Config.Files = config.Files{Listen: ":6970"}
	for descriptors, want := range map[int]int{10: 1, 256: 17, 1024: 68, 4096: 256, 1 << 30: 256} {
		if got := d.fileConnections(descriptors); got != want {
			t.Errorf("of %d: %d", descriptors, got)
		}
	}
	d.options.Config.Files.Listen = config.Off
	if got := d.fileConnections(1024); got != 0 {
		t.Errorf("turned off: %d", got)
	}
}

func TestOpenWithFiles(t *testing.T) {
	folder := t.TempDir()
	_, data := sampleStore(t)
	if _, _, err := ca.Activate(data, ca.Options{CommonName: "CAPF-files"}, ca.System()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	options := Options{Data: data, Config: config.Default(), Listen: "127.0.0.1:0", AdminListen: config.AdminOff, Environment: ca.System(),
		Log: slog.New(slog.NewTextHandler(&log, nil))}
	open := func(files config.Files) string {
		t.Helper()
		options.Config.Files = files
		service, err := Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		defer service.Close()
		return service.FilesAddress()
	}
	options.Config.Files = config.Files{Listen: "127.0.0.1:0", Folder: filepath.Join(folder, "none")}
	if _, err := Open(t.Context(), options); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), "files.folder") {
		t.Errorf("without the folder: %v", err)
	}
	if address := open(config.Files{Listen: "127.0.0.1:0"}); !strings.HasPrefix(address, "127.0.0.1:") || strings.Contains(log.String(), "unencrypted") {
		t.Errorf("the lists only: %q, %s", address, log.String())
	}
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	open(config.Files{Listen: "127.0.0.1:0", Folder: folder})
	for _, want := range []string{"chmod o-w", "unencrypted"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is missing in %s", want, log.String())
		}
	}
	if address := open(config.Files{Listen: config.Off, Folder: folder}); address != "" {
		t.Errorf("turned off: %q", address)
	}
}
