package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// fileServer is a running service from which phones fetch files.
type fileServer struct {
	*cluster
	service *service
	folder  string // of configuration files
	node    string // that the list was distributed to
	address string
}

const aConfiguration = "<device><capfAuthMode>2</capfAuthMode></device>"

// newFileServer has one node, which is a folder, and more configuration.
func newFileServer(t *testing.T, configuration string) *fileServer {
	t.Helper()
	f := &fileServer{cluster: &cluster{installation: newInstallation(t)}, folder: t.TempDir(), node: t.TempDir()}
	samples, err := filepath.Abs("../../testdata/ctl")
	if err != nil {
		t.Fatal(err)
	}
	f.capf("node", "add", "pub", "--role", "ccm+tftp", "--address", "192.0.2.1", "--publisher",
		"--certificate", filepath.Join(samples, "servers", "publisher.pem"), "--target", "file://"+f.node)
	for _, token := range []string{"1024", "2048"} {
		f.capf("ctl", "token", "add", token, "--file", filepath.Join(samples, "tokens", token+".pem"))
	}
	f.config = f.write("capf.toml", configuration+fmt.Sprintf("\n[files]\nlisten = '127.0.0.1:0'\nfolder = '%s'\n", f.folder))
	if err := os.WriteFile(filepath.Join(f.folder, "SEP001122334455.cnf.xml"), []byte(aConfiguration), 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fileServer) start() {
	f.t.Helper()
	f.service = f.serve("--config", f.config)
	line := regexp.MustCompile(`(?m)^ready phone=\S+ admin=http://\S+ files=(\S+)$`)
	var ready []string
	waitFor(f.t, "the ready line with the address of files", func() bool {
		ready = line.FindStringSubmatch(f.service.text())
		return ready != nil
	})
	f.address = ready[1]
}

// get asks for a file.
func (f *fileServer) get(name string) (status int, body string) {
	f.t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get("http://" + f.address + "/" + name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func (f *fileServer) want(name string, status int, body string) {
	f.t.Helper()
	if got, content := f.get(name); got != status || status == http.StatusOK && content != body {
		f.t.Errorf("%s: %d, %d bytes; want %d, %d bytes", name, got, len(content), status, len(body))
	}
}

// TestFilesForPhones: without a TFTP server phones get from the service what a node would have for them: the list of the
// store, and their configuration.
func TestFilesForPhones(t *testing.T) {
	f := newFileServer(t, "")
	if err := os.WriteFile(filepath.Join(f.folder, "CTLFile.tlv"), []byte("from before"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.start()
	f.want("CTLFile.tlv", http.StatusOK, "from before")
	f.capf("ctl", "build")
	f.capf("ctl", "distribute")
	list, err := os.ReadFile(filepath.Join(f.node, "TFTPPath", "CTLFile.tlv"))
	if err != nil {
		t.Fatal(err)
	}
	f.want("CTLFile.tlv", http.StatusOK, string(list))
	f.want("CTLSEP001122334455.tlv", http.StatusOK, string(list))
	f.want("ITLFile.tlv", http.StatusNotFound, "")
	f.want("SEP001122334455.cnf.xml", http.StatusOK, aConfiguration)
	f.want("SEP001122334456.cnf.xml", http.StatusNotFound, "")

	path := filepath.Join(f.data, "capf.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	f.want("CTLFile.tlv", http.StatusServiceUnavailable, "")
	f.want("SEP001122334455.cnf.xml", http.StatusOK, aConfiguration)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	f.want("CTLFile.tlv", http.StatusOK, string(list))
	text := f.service.metrics()
	for _, line := range []string{`capf_phone_files_total{kind="ctl",status="200"} 4`, `capf_phone_files_total{kind="ctl",status="503"} 1`,
		`capf_phone_files_total{kind="config",status="404"} 1`, `capf_phone_files_total{kind="itl",status="404"} 1`} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(text, "SEP0011") {
		t.Error("the metrics name a phone")
	}
	if log := f.service.text(); !strings.Contains(log, "unencrypted") || !strings.Contains(log, "a trust list cannot be given to phones") {
		t.Errorf("the log says\n%s", log)
	}
}

// TestITLForPhones: the ITL that was made with the newest list is given as the node has it, and none once a list was made
// without.
func TestITLForPhones(t *testing.T) {
	f := newFileServer(t, "")
	f.capf("ctl", "build", "--itl")
	f.start()
	f.capf("ctl", "distribute")
	lists := map[string]string{"CTL": "", "ITL": ""}
	for kind := range lists {
		list, err := os.ReadFile(filepath.Join(f.node, "TFTPPath", kind+"File.tlv"))
		if err != nil {
			t.Fatal(err)
		}
		lists[kind] = string(list)
		f.want(kind+"File.tlv", http.StatusOK, lists[kind])
		f.want(kind+"SEP001122334455.tlv", http.StatusOK, lists[kind])
	}
	if lists["CTL"] == lists["ITL"] {
		t.Error("both lists are the same")
	}
	f.capf("ctl", "build")
	f.want("ITLFile.tlv", http.StatusNotFound, "")
}

// curl asks as it is told, and gives status, body and what went wrong.
func (f *fileServer) curl(program string, arguments ...string) (status, body string) {
	f.t.Helper()
	arguments = append([]string{"--silent", "--show-error", "--max-time", "60", "--path-as-is", "--write-out", "\n%{http_code}"}, arguments...)
	output, err := exec.Command(program, arguments...).Output()
	if err != nil {
		f.t.Fatalf("curl %q: %v", arguments, err)
	}
	end := bytes.LastIndexByte(output, '\n')
	return string(output[end+1:]), string(output[:end])
}

// TestFilesAsAForeignClientAsks has curl ask as phones do, and as they do not.
func TestFilesAsAForeignClientAsks(t *testing.T) {
	program := foreign(t, "curl", "apt-get install curl")
	f := newFileServer(t, "")
	for _, err := range []error{
		os.WriteFile(filepath.Join(filepath.Dir(f.folder), "secret.cnf.xml"), []byte("secret"), 0o644),
		os.WriteFile(filepath.Join(f.folder, ".dot.cnf.xml"), []byte("secret"), 0o644),
		os.Symlink(filepath.Join(f.data, "keys", "capf.pem"), filepath.Join(f.folder, "Link.cnf.xml")),
		syscall.Mkfifo(filepath.Join(f.folder, "Pipe.cnf.xml"), 0o644),
		os.Mkdir(filepath.Join(f.folder, "Folder.cnf.xml"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.start()
	base := "http://" + f.address
	for _, how := range []string{"--http1.0", "--http1.1"} {
		if status, body := f.curl(program, how, base+"/SEP001122334455.cnf.xml"); status != "200" || body != aConfiguration {
			t.Errorf("%s: %s %q", how, status, body)
		}
	}
	if status, head := f.curl(program, "--head", base+"/SEP001122334455.cnf.xml"); status != "200" ||
		!strings.Contains(head, fmt.Sprintf("Content-Length: %d\r\n", len(aConfiguration))) || !strings.Contains(head, "Content-Type: application/xml\r\n") {
		t.Errorf("%s %s", status, head)
	}
	for _, path := range []string{"/", "/../secret.cnf.xml", "/%2e%2e/secret.cnf.xml", "/..%2fsecret.cnf.xml", `/..%5csecret.cnf.xml`, "/SEP001122334455.cnf.xml%00",
		"/" + filepath.Dir(f.folder) + "/secret.cnf.xml", "/.dot.cnf.xml", "/Link.cnf.xml", "/Pipe.cnf.xml", "/Folder.cnf.xml", "/Folder.cnf.xml/", "/capf.db",
		"/" + strings.Repeat("A", 8000) + ".cnf.xml", "/" + strings.Repeat("..%2f", 200) + "etc/passwd"} {
		if status, body := f.curl(program, base+path); status != "404" || strings.Contains(body, "secret") || strings.Contains(body, "PRIVATE") {
			t.Errorf("%.60s: %s %.200q", path, status, body)
		}
	}
	if status, body := f.curl(program, "--proxy", base, "http://192.0.2.7/SEP001122334455.cnf.xml"); status != "404" {
		t.Errorf("as a proxy: %s %q", status, body)
	}
	if status, _ := f.curl(program, "--upload-file", f.config, base+"/SEP001122334455.cnf.xml"); status != "405" {
		t.Errorf("an upload: %s", status)
	}
	f.want("SEP001122334455.cnf.xml", http.StatusOK, aConfiguration)
}

// TestFilesBesideStallingClients: connections that say nothing, and one that never reads, keep neither a phone from its
// file for long nor the service from ending.
func TestFilesBesideStallingClients(t *testing.T) {
	f := newFileServer(t, "")
	large := filepath.Join(f.folder, "Large.cnf.xml")
	if err := os.WriteFile(large, make([]byte, 4<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	f.start()
	never := dial(t, f.address)
	defer never.Close()
	if err := never.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(never, "GET /Large.cnf.xml HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for range 300 { // more than have a place
		silent := dial(t, f.address)
		defer silent.Close()
	}
	f.want("SEP001122334455.cnf.xml", http.StatusOK, aConfiguration)
	waitFor(t, "the service beside them", func() bool {
		return strings.Contains(f.service.metrics(), `capf_phone_files_total{kind="config",status="200"} 1`)
	})
	if status := f.service.terminate(); status != 0 { // waiting for who never reads would take a quarter of an hour
		t.Errorf("SIGTERM: exit status %d", status)
	}
}
