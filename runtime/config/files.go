package config

// Files is about the address at which phones fetch their files over HTTP where there is no TFTP server.
type Files struct {
	Listen string `toml:"listen"` // host:port, or `off`; phones ask at port 6970
	Folder string `toml:"folder"` // with their configuration files; empty: the trust lists only
}

func defaultFiles() Files { return Files{Listen: Off} }

// IsOn reports whether phones get files here.
func (f Files) IsOn() bool { return f.Listen != "" && f.Listen != Off }

// validate tells check about the address; whether the folder can be opened shows when the service starts.
func (f Files) validate(check func(ok bool, field string, value any, reason string)) {
	check(!f.IsOn() || IsAddress(f.Listen), "files.listen", f.Listen, "use host:port, as :6970, or off")
}
