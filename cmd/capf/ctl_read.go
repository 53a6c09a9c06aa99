package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"capf/ctl"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// readableList is a list that a command works on.
type readableList struct {
	raw    []byte
	name   string           // for people
	stored *capf.CTLVersion // nil: it came from a file
	newest bool             // of the store
}

// readList reads a list: a file; a version of the store, where the name is a number and no file; the newest one of the
// store without a name. With itl it is the ITL of that version.
func readList(app *app, name string, itl bool) (readableList, error) {
	version, err := strconv.ParseInt(name, 10, 64)
	if name != "" && (err != nil || fileExists(name)) {
		if itl {
			return readableList{}, &capf.Error{Code: capf.CodeInvalid, Message: "--itl with the file " + name, Hint: "the file says itself what it is: leave --itl out"}
		}
		raw, err := readListFile(name)
		return readableList{raw: raw, name: name}, err
	}
	list := readableList{newest: name == ""}
	err = app.withStore(func(store *sqlite.Store) (err error) {
		var stored capf.CTLVersion
		if list.newest {
			stored, err = store.LatestCTL(app.ctx)
		} else {
			stored, err = store.CTL(app.ctx, version)
		}
		list.stored = &stored
		return err
	})
	if err != nil {
		return readableList{}, err
	}
	list.name, list.raw = fmt.Sprintf("version %d", list.stored.Version), list.stored.File
	if !itl {
		return list, nil
	}
	list.name, list.raw = "the ITL of "+list.name, list.stored.ITL
	if list.raw == nil {
		return readableList{}, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("version %d of the trust list has no ITL", list.stored.Version),
			Hint: "`capf ctl build --itl` makes one"}
	}
	return list, nil
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// readListFile reads at most one byte more than a list may have. Looked at before it is opened: opening a named pipe
// would wait.
func readListFile(path string) ([]byte, error) {
	refuse := func(err error) ([]byte, error) {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + path, Err: err}
	}
	info, err := os.Stat(path)
	if err != nil {
		return refuse(err)
	}
	if !info.Mode().IsRegular() {
		return refuse(errors.New("it is no regular file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return refuse(err)
	}
	raw, err := io.ReadAll(io.LimitReader(file, ctl.MaxSize+1))
	if err := cmp.Or(err, file.Close()); err != nil {
		return refuse(err)
	}
	if len(raw) > ctl.MaxSize {
		return refuse(errors.New("more than 4 MiB: no trust list is that long"))
	}
	return raw, nil
}

// unreadable is for a list that cannot be decoded.
func unreadable(list readableList, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "the trust list " + list.name + " cannot be read", Err: err}
}
