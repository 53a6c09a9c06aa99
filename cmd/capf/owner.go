package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"capf/runtime/ca"
	"capf/runtime/capf"
)

// A data directory belongs to the user under whom the service runs. What root writes there the service cannot read: a
// phone would find it broken at night. So root works on it as its owner.

// needsNoData are the commands that work on no data directory.
var needsNoData = []string{"simulate", "migrate inspect", "migrate dialect"}

// checkOwner refuses a command of root's on the data directory of another user, and names the one to run.
func (a *app) checkOwner(command string, arguments []string) error {
	owner, found := ownerOf(a.data)
	isFree := slices.ContainsFunc(needsNoData, func(name string) bool { return strings.HasPrefix(command+" ", name+" ") })
	if !found || os.Geteuid() != 0 || owner == 0 || isFree {
		return nil
	}
	isGiven := func(word string) bool { return word == "--data" || strings.HasPrefix(word, "--data=") }
	if !slices.ContainsFunc(arguments, isGiven) {
		arguments = append([]string{"--data", a.data}, arguments...) // sudo may drop the environment
	}
	words := []string{"sudo", "-u", capf.ShellWord(userName(owner)), "capf"}
	for _, one := range withoutSecrets(arguments) {
		words = append(words, capf.ShellWord(one))
	}
	return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("data directory %s belongs to %s, whose service could not read what root writes there", a.data, userName(owner)),
		Hint: "run `" + strings.Join(words, " ") + "`"}
}

// checkOwn refuses a data directory in which no authority is to be made: one that belongs to somebody else, or whose
// keys lie elsewhere.
func (a *app) checkOwn() error {
	if owner, found := ownerOf(a.data); found && int(owner) != os.Geteuid() {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("data directory %s belongs to %s", a.data, userName(owner)),
			Hint: "name another one with --data, or have its owner run this"}
	}
	keys := ca.KeyFolder(a.data)
	if info, err := os.Lstat(keys); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return &capf.Error{Code: capf.CodeRefused, Message: keys + " is a link: the keys of CAPF belong into the data directory",
			Hint: "put a folder in its place, or mount one there"}
	}
	return nil
}

// ownerOf gives the ID of the user to whom a folder belongs; not found where there is none yet.
func ownerOf(folder string) (id uint32, found bool) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, false
	}
	system, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return system.Uid, true
}

// userName gives the name of a user, or the number as sudo takes it.
func userName(id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	if known, err := user.LookupId(number); err == nil {
		return known.Username
	}
	return "#" + number
}

// What an argument may hold that goes into no error: digits and a PIN, and the password of a URL. A port follows a colon
// too, but no @ comes behind it.
var (
	secretValue    = regexp.MustCompile(`(^--auth-string=|[?&;]pin-value=)[^&;]+`)
	secretPassword = regexp.MustCompile(`(://[^/@:]*:).+@`)
)

// withoutSecrets gives arguments with a word in the place of each secret.
func withoutSecrets(arguments []string) []string {
	shown := slices.Clone(arguments)
	for i, one := range shown {
		shown[i] = secretPassword.ReplaceAllString(secretValue.ReplaceAllString(one, "${1}SECRET"), "${1}SECRET@")
		if i > 0 && arguments[i-1] == "--auth-string" {
			shown[i] = "SECRET"
		}
	}
	return shown
}
