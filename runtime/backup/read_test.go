package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"filippo.io/age"

	"capf/runtime/capf"
)

// small keeps a backup short enough to damage every byte of it.
var small = map[string]string{"capf.db": "the store", "keys/capf.pem": "in force"}

// TestEveryByte damages each byte in turn, cuts the file there, and adds one at the end.
func TestEveryByte(t *testing.T) {
	key := newIdentity(t)
	for name, raw := range map[string][]byte{"plain": backupOf(t, small), "encrypted": backupOf(t, small, key.Recipient())} {
		t.Run(name, func(t *testing.T) {
			try := func(what string, content []byte) {
				t.Helper()
				plain, _, err := decrypted(bytes.NewReader(content), []age.Identity{key})
				if err == nil {
					_, _, err = readAll(plain)
				}
				if err == nil {
					t.Fatalf("%s is not noticed", what)
				}
			}
			for i := range raw {
				damaged := bytes.Clone(raw)
				damaged[i] ^= 1 << (i % 8)
				try(fmt.Sprintf("byte %d changed", i), damaged)
				if i%7 == 0 {
					try(fmt.Sprintf("cut at %d", i), raw[:i])
				}
			}
			data, _, err := restored(t, bytes.NewReader(raw[:len(raw)-1]), key)
			wantCode(t, err, capf.CodeUnavailable)
			wantNothing(t, data)
			for _, more := range []string{"\x00", "x", strings.Repeat("\x00", 512)} {
				try("something behind the end", append(bytes.Clone(raw), more...))
			}
		})
	}
}

// forge writes an archive as anybody could, with digests that are right: of the manifest as given, members with
// headers as given.
func forge(t testing.TB, manifest string, members ...forged) []byte {
	t.Helper()
	var out bytes.Buffer
	add := func(head tar.Header, content string) {
		if head.ModTime.IsZero() {
			head.ModTime = made
		}
		if head.Mode == 0 {
			head.Mode = 0o600
		}
		var one bytes.Buffer
		if err := tar.NewWriter(&one).WriteHeader(&head); err != nil {
			t.Fatal(err)
		}
		out.Write(one.Bytes())
		out.WriteString(content)
		out.Write(make([]byte, padding(int64(len(content)))))
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(manifest))}, manifest)
	for _, one := range members {
		add(one.head, one.content)
	}
	return sealed(t, out.Bytes())
}

type forged struct {
	head    tar.Header
	content string
}

// sealed puts the right end behind an archive.
func sealed(t testing.TB, body []byte) []byte {
	t.Helper()
	out := bytes.NewBuffer(bytes.Clone(body))
	archive := tar.NewWriter(out)
	end := digestOf(body) + "\n"
	err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: digestName, Size: int64(len(end)), Mode: 0o600, ModTime: made})
	if err == nil {
		_, err = io.WriteString(archive, end)
	}
	if err := errors.Join(err, archive.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// padding is how many zeros follow a file of that size in an archive.
func padding(size int64) int64 { return -size & (block - 1) }

func regular(name, content string) forged {
	return forged{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content))}, content}
}

// written is the manifest of these files as Write has it, with words replaced, two by two.
func written(t testing.TB, files []forged, replace ...string) string {
	t.Helper()
	manifest := Manifest{Format: Format, CreatedAt: made, Contents: Contents{Schema: 11}}
	for _, one := range files {
		manifest.Members = append(manifest.Members, Member{one.head.Name, int64(len(one.content)), digestOf([]byte(one.content))})
	}
	raw, err := manifest.encode()
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(replace...).Replace(string(raw))
}

func TestForged(t *testing.T) {
	store := regular("capf.db", "the store")
	key := regular("keys/a.pem", "key")
	both := []forged{store, key}
	link := forged{tar.Header{Typeflag: tar.TypeSymlink, Name: "keys/a.pem", Linkname: "/etc/passwd"}, ""}
	hard := forged{tar.Header{Typeflag: tar.TypeLink, Name: "keys/a.pem", Linkname: "capf.db"}, ""}
	wide := forged{tar.Header{Typeflag: tar.TypeReg, Name: "keys/a.pem", Size: 3, Mode: 0o4777}, "key"}
	owned := forged{tar.Header{Typeflag: tar.TypeReg, Name: "keys/a.pem", Size: 3, Uid: 1000}, "key"}
	sparse := forged{tar.Header{Typeflag: tar.TypeReg, Name: "capf.db", Size: 9, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.x": "y"}}, "the store"}
	for name, test := range map[string]struct {
		raw  []byte
		code capf.Code
		word string
	}{
		"dots":             {forge(t, written(t, both, "keys/a.pem", "../../a.pem"), store, regular("../../a.pem", "key")), capf.CodeUnavailable, "nothing that belongs"},
		"absolute":         {forge(t, written(t, both, "keys/a.pem", "/etc/a.pem"), store, regular("/etc/a.pem", "key")), capf.CodeUnavailable, "nothing that belongs"},
		"other file":       {forge(t, written(t, both, "keys/a.pem", "serve.lock"), store, regular("serve.lock", "key")), capf.CodeUnavailable, "nothing that belongs"},
		"symbolic link":    {forge(t, written(t, both), store, link), capf.CodeUnavailable, "header of keys/a.pem"},
		"hard link":        {forge(t, written(t, both), store, hard), capf.CodeUnavailable, "header of keys/a.pem"},
		"set-user-ID":      {forge(t, written(t, both), store, wide), capf.CodeUnavailable, "header of keys/a.pem"},
		"owner":            {forge(t, written(t, both), store, owned), capf.CodeUnavailable, "header of keys/a.pem"},
		"extended header":  {forge(t, written(t, []forged{store}), sparse), capf.CodeUnavailable, "header of capf.db"},
		"twice":            {forge(t, written(t, append(both, key)[:2], `"size": 3`, `"size": 3`), store, key, key), capf.CodeUnavailable, "digest at the end"},
		"order":            {forge(t, written(t, both), key, store), capf.CodeUnavailable, "header of capf.db"},
		"member missing":   {forge(t, written(t, both), store), capf.CodeUnavailable, "header of keys/a.pem"},
		"not in manifest":  {forge(t, written(t, []forged{store}), store, key), capf.CodeUnavailable, "digest at the end"},
		"exploding size":   {forge(t, written(t, both, `"size": 9`, `"size": 9000000000000000000`), store, key), capf.CodeUnavailable, "header of capf.db"},
		"large key":        {forge(t, written(t, both, `"size": 3`, `"size": 1048577`), store, key), capf.CodeUnavailable, "1048577"},
		"negative size":    {forge(t, written(t, both, `"size": 3`, `"size": -3`), store, key), capf.CodeUnavailable, "-3"},
		"digest":           {forge(t, written(t, both, digestOf([]byte("key")), digestOf([]byte("other"))), store, key), capf.CodeUnavailable, "keys/a.pem is not what it was"},
		"unknown field":    {forge(t, written(t, both, `"format": 1,`, `"format": 1, "x": 2,`), store, key), capf.CodeUnavailable, "not written as capf"},
		"newer format":     {forge(t, written(t, both, `"format": 1`, `"format": 2`), store, key), capf.CodeRefused, "format 2"},
		"no JSON":          {forge(t, "x", store, key), capf.CodeUnavailable, "manifest"},
		"terminal control": {forge(t, written(t, both, `"machine": ""`, `"machine": "\u001b[2J"`), store, key), capf.CodeUnavailable, "characters"},
		"identity":         {forge(t, written(t, both, `"identity": ""`, `"identity": "x"`), store, key), capf.CodeUnavailable, "identity-sha256"},
		"schema of itself": {forge(t, written(t, both, `"schema": 11`, `"schema": 12`), store, key), capf.CodeRefused, "holds schema 11"},
		"another archive":  {forge(t, written(t, both))[block:], capf.CodeUnavailable, "does not begin"},
		"nothing":          {nil, capf.CodeUnavailable, "too early"},
	} {
		t.Run(name, func(t *testing.T) {
			data, _, err := restored(t, bytes.NewReader(test.raw))
			wantCode(t, err, test.code, test.word)
			wantNothing(t, data)
		})
	}
}

// What forge writes is right where nothing is wrong with it: else TestForged would prove nothing.
func TestForgeIsAccepted(t *testing.T) {
	files := []forged{regular("capf.db", "the store"), regular("keys/a.pem", "key")}
	if data, _, err := restored(t, bytes.NewReader(forge(t, written(t, files), files...))); err != nil {
		t.Errorf("%s: %v", data, err)
	}
}

// collected is what a member is written to, for a test.
type collected struct {
	bytes.Buffer
	closed bool
}

func (c *collected) Close() error { c.closed = true; return nil }

// readAll reads a backup into memory.
func readAll(in io.Reader) (manifest Manifest, content map[string]*collected, err error) {
	content = map[string]*collected{}
	err = Read(in, func(read Manifest) error { manifest = read; return nil }, func(member Member) (io.WriteCloser, error) {
		content[member.Name] = new(collected)
		return content[member.Name], nil
	}, nil)
	return manifest, content, err
}

// A place for members that fails is not mistaken for a damaged backup, wherever it fails.
func TestPlaceFails(t *testing.T) {
	raw := backupOf(t, small)
	full := &capf.Error{Code: capf.CodeUnavailable, Message: "disk full"}
	for _, at := range []string{"begin", "create", "write", "close"} {
		failing := func(here string) error {
			if here == at {
				return full
			}
			return nil
		}
		err := Read(bytes.NewReader(raw), func(Manifest) error { return failing("begin") }, func(Member) (io.WriteCloser, error) {
			return failingPlace{failing("write"), failing("close")}, failing("create")
		}, nil)
		if err == nil || !strings.Contains(err.Error(), "disk full") || strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v", at, err)
		}
	}
}

type failingPlace struct{ write, close error }

func (f failingPlace) Write(content []byte) (int, error) {
	if f.write != nil {
		return 0, f.write
	}
	return len(content), nil
}

func (f failingPlace) Close() error { return f.close }

// FuzzRead has anything for a backup, with the digest at its end put right: what is taken is what Write writes.
func FuzzRead(f *testing.F) {
	files := []forged{regular("capf.db", "the store"), regular("keys/a.pem", "key")}
	for _, seed := range [][]byte{backupOf(f, whole), backupOf(f, small), forge(f, written(f, files), files...), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		const end = 2*block + 2*block // header, digest, end of archive
		if len(raw) > end {
			raw = sealed(t, raw[:len(raw)-end])
		}
		manifest, content, err := readAll(bytes.NewReader(raw))
		if err != nil {
			return
		}
		var again bytes.Buffer
		err = Write(&again, manifest, func(member Member) (io.ReadCloser, error) {
			return io.NopCloser(content[member.Name]), nil
		}, nil)
		if err != nil || !bytes.Equal(raw, again.Bytes()) {
			t.Errorf("what was read is written as something else: %v", err)
		}
	})
}
