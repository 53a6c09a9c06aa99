package backup

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"capf/runtime/capf"
)

// The names in a data directory that a backup knows.
const (
	StoreName   = "capf.db"
	KeyFolder   = "keys"
	TraceFolder = "traces"

	certificateName   = "CAPF.cer"
	knownHostsName    = "known_hosts" // by which servers are known to the distribution
	certificateSuffix = ".0"          // behind the common name
	keySuffix         = ".pem"
)

// maxSmallFile is how large everything but the store may be, in bytes.
const maxSmallFile = 1 << 20

// longestName leaves `.0` room in the 255 bytes that file systems give a name.
const longestName = 250

// Kept reports whether a file of a data directory belongs into a backup, by its path below the directory, with
// slashes: the store, `keys/*.pem`, `CAPF.cer`, `<common name>.0`, `known_hosts`, and `traces/<DEVICE>-LSC.txt` and `-MIC.txt`.
// No other name is written to a backup or read from one.
func Kept(name string) bool {
	folder, base := path.Split(name)
	if !isPlain(base) {
		return false
	}
	switch folder {
	case "":
		return base == StoreName || isSmall(name)
	case KeyFolder + "/":
		return isSmall(name)
	case TraceFolder + "/":
		return isTrace(base)
	}
	return false
}

// isPlain refuses what could lead out of a folder, or is hidden or half written.
func isPlain(base string) bool {
	return base != "" && len(base) <= longestName && base[0] != '.' && utf8.ValidString(base) &&
		!strings.ContainsFunc(base, func(r rune) bool { return r == '/' || r == '\\' || !unicode.IsPrint(r) })
}

// isSmall tells the few files that belong to the store: CAPF's own keys and certificates, and whom to trust.
func isSmall(name string) bool {
	folder, base := path.Split(name)
	if folder == KeyFolder+"/" {
		return strings.HasSuffix(base, keySuffix)
	}
	return folder == "" && (base == certificateName || base == knownHostsName || strings.HasSuffix(base, certificateSuffix))
}

// isTrace tells what a Troubleshoot fetched from the traces of sessions.
func isTrace(base string) bool {
	device, found := strings.CutSuffix(base, "-LSC.txt")
	if !found {
		device, found = strings.CutSuffix(base, "-MIC.txt")
	}
	if !found {
		return false
	}
	normal, err := capf.ParseDevice(device)
	return err == nil && normal == device
}

// passing are the names in a data directory that are no use elsewhere: they come and go with a process or an
// upgrade.
var passing = []string{"serve.lock", "serve.sock", "distribute.lock", "migrate.lock", StoreName + "-wal", StoreName + "-shm", StoreName + "-journal", KeyFolder, TraceFolder, scratchName}

// isForeign reports whether a name at the top of a data directory is none that capf makes.
func isForeign(name string) bool {
	for _, known := range passing {
		if name == known {
			return false
		}
	}
	return !Kept(name) && !strings.HasPrefix(name, StoreName+".schema-") && !strings.HasPrefix(name, ".")
}
