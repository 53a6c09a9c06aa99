package distribute

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"capf/ctl/distribute/sshdtest"
)

// What is made can be read by the TFTP server, which runs as someone else, whatever the umask of the administrator or
// of the login there. What was there keeps its permissions.
func TestFoldersUnderUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	server := sshdtest.Start(t, sshdtest.Options{Subsystem: "internal-sftp -u 077"})
	options, _ := over(t, server)
	options.Openers["file"] = OpenFolder
	files := payload(t, list(t, 1000, "1024", "2048"))
	far, farFolder := sftpNode(t, "far", server)
	near, nearFolder := node(t, "near")
	for folder, node := range map[string]Node{farFolder: far, nearFolder: near} {
		if err := os.Mkdir(filepath.Join(folder, "own"), 0o700); err != nil {
			t.Fatal(err)
		}
		node.CertificatesDir, node.TFTPDir = "own/made/certificates", "own/made/lists"
		if result := one(t, node, files, options); outcomes(result) != "done new new new" {
			t.Errorf("%s: %s, %v", node.Name, outcomes(result), result.Err)
		}
		for name, want := range map[string]os.FileMode{"own": 0o700, "own/made": 0o755, "own/made/certificates": 0o755, "own/made/lists": 0o755,
			"own/made/lists/CTLFile.tlv": 0o644, "own/made/certificates/CAPF.cer": 0o644} {
			info, err := os.Stat(filepath.Join(folder, name))
			if permissions(info) != want {
				t.Errorf("%s: %s: %v, want %v: %v", node.Name, name, permissions(info), want, err)
			}
		}
	}
}

func permissions(info os.FileInfo) os.FileMode {
	if info == nil {
		return 0
	}
	return info.Mode().Perm()
}
