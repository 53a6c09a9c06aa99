package main

import (
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// script is an encoding with what is written in it.
type script struct {
	by     encoding.Encoding
	mark   string
	people []string
}

var scripts = []script{
	{charmap.Windows1252, "", []string{"Lobby", "Jörg Müller", "Café", "Room 12", "François, Zoë", ""}},
	{unicode.UTF8, "", []string{"Lobby", "Jörg Müller", "山田太郎", "Room 12; left", ""}},
	{unicode.UTF8, "\xef\xbb\xbf", []string{"Lobby", "Jörg Müller", "山田太郎", ""}},
	{japanese.ShiftJIS, "", []string{"山田太郎", "会議室A", "サーバー室", "受付", "表示ソフト開発部", "ﾔﾏﾀﾞ ﾀﾛｳ"}},
	{unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "\xff\xfe", []string{"Lobby", "Szőke Gyűrű", "山田太郎", ""}},
	{unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "\xfe\xff", []string{"Lobby", "Szőke Gyűrű", "山田太郎", ""}},
}

var fieldNames = []string{"Device Name", "Operation", "Status", "Status Time", "Authentication Mode", "Authentication String", "Key Size", "Description"}

// phoneText writes lines of a phone file in one encoding.
type phoneText struct {
	*forest
	script
	file           *treeFile
	form, cut, end string
}

func (p *phoneText) line(fate fate, text string) {
	raw, err := p.by.NewEncoder().String(text)
	if err != nil {
		p.t.Fatalf("%q: %v", text, err)
	}
	p.file.add(fate, raw)
}

// phoneFile writes records of phones, with some that cannot be read among them.
func (f *forest) phoneFile(path string) *treeFile {
	p := &phoneText{forest: f, file: &treeFile{path: path}, script: scripts[f.IntN(len(scripts))],
		form: f.pick("delimited", "delimited", "headerless", "blocks", "sections"), cut: f.pick(",", ";", "\t", "|"), end: f.pick("\r\n", "\n")}
	if !strings.HasPrefix(p.mark, "\xff") && !strings.HasPrefix(p.mark, "\xfe") && f.one(5) {
		p.end = "\r"
	}
	if p.mark != "" {
		p.file.add(passed, p.mark)
	}
	switch p.form {
	case "delimited":
		p.line(passed, strings.Join(fieldNames, p.cut)+p.end)
	case "blocks", "sections":
		p.line(passed, "# phones"+p.end)
	}
	damage := 3 // of 60 records and more, so that a dialect fits
	for n := range 60 + f.IntN(20) {
		if damage > 0 && n > 5 && f.one(10) {
			damage--
			p.damaged()
		}
		p.record(p.values())
	}
	p.last()
	return p.file
}

func (p *phoneText) values() []string {
	mode, digits := "null string", ""
	if p.one(2) {
		mode, digits = "authentication string", fmt.Sprintf("%06d", p.IntN(1_000_000))
	}
	at := ""
	if p.form == "headerless" || !p.one(8) {
		at = fmt.Sprintf("2005-%02d-%02d %02d:00:00", 1+p.IntN(3), 1+p.IntN(28), p.IntN(24))
	}
	if p.form == "headerless" {
		mode, digits = "authentication string", fmt.Sprintf("%06d", p.IntN(1_000_000))
	}
	return []string{p.device(), p.pick("install", "delete", "no operation"), p.pick("pending", "success", "failed"), at, mode, digits,
		p.pick("512", "1024", "2048"), p.people[p.IntN(len(p.people))]}
}

// device is one that other machines may have too, in one of the spellings.
func (p *phoneText) device() string {
	digits := fmt.Sprintf("000000000%03d", p.IntN(150))
	if p.form == "headerless" {
		return "SEP" + digits
	}
	return p.pick("SEP"+digits, "SEP"+digits, "sep"+digits, digits, strings.Join([]string{digits[:4], digits[4:8], digits[8:]}, "."))
}

// record writes values as the form has them.
func (p *phoneText) record(values []string) {
	if p.form == "delimited" || p.form == "headerless" {
		p.line(taken, p.row(values)+p.end)
		return
	}
	for i, value := range values {
		switch {
		case i == 0 && p.form == "sections":
			p.line(taken, "["+value+"]"+p.end)
		case value != "":
			p.line(taken, fieldNames[i]+"="+value+p.end)
		}
	}
	p.line(passed, p.end)
}

func (p *phoneText) row(values []string) string {
	quoted := append(values[:len(values)-1:len(values)-1], `"`+values[len(values)-1]+`"`)
	return strings.Join(quoted, p.cut)
}

// damaged writes something that is no record.
func (p *phoneText) damaged() {
	values := p.values()
	switch p.IntN(8) {
	case 6:
		values[7] = strings.Repeat("long", 20_000)
	case 7:
		values[7] += "\x1a\x1a behind it"
	case 0:
		values[3] = "2005-02-30 08:00:00"
	case 1:
		values[1] = "Instal"
	case 2:
		values[0] = "SEP00"
	case 3:
		values[7] = "nul\x00nul"
	case 4:
		values[5] = "12 34"
	case 5:
		p.secret()
		return
	}
	p.record(values)
}

// secret writes a private key, which stands alone in forms of blocks, since lines of one block have one fate.
func (p *phoneText) secret() {
	p.line(withheld, strings.ReplaceAll(p.pool.key(true), "\n", p.end))
	if p.form == "blocks" || p.form == "sections" {
		p.line(passed, p.end)
	}
}

// last ends the file: well, torn, with 0x1A, or within a key.
func (p *phoneText) last() {
	switch p.IntN(6) {
	case 5:
		p.line(passed, p.end)
		p.line(taken, "\x1aleft over from before"+p.end)
	case 0:
		row := p.row(p.values())
		if p.form == "blocks" || p.form == "sections" {
			row = "Device Name"
		}
		p.line(taken, row[:len(row)*2/3])
	case 1:
		p.line(passed, "\x1a")
	case 2:
		key := p.pool.key(false)
		p.line(withheld, strings.ReplaceAll(key, "\n", p.end))
	case 3:
		p.line(passed, p.end+p.end)
	}
}

// list is a report of phones in CSV.
func (f *forest) list() *treeFile {
	out := &treeFile{path: "capf-report.csv"}
	out.add(passed, "device,operation,status,auth-mode,auth-string,key-size,remark\r\n")
	for range 10 + f.IntN(30) {
		device := fmt.Sprintf("SEP000000000%03d", f.IntN(200))
		switch f.IntN(12) {
		case 0:
			out.add(taken, device+",\"not closed\r\n")
		case 1:
			out.add(taken, "too,few\r\n")
		case 2:
			out.add(passed, "\r\n")
		case 3:
			out.add(withheld, strings.ReplaceAll(f.pool.key(true), "\n", "\r\n"))
		default:
			out.add(taken, strings.Join([]string{device, f.pick("install", "delete", "none"), f.pick("pending", "success", "failed"), "null-string", "",
				f.pick("512", "1024", "2048"), f.pick("Lobby", `"two`+"\r\n"+`lines"`, `"a, b"`, "")}, ",")+"\r\n")
		}
	}
	if f.one(3) {
		out.add(taken, "SEP0000000002")
	}
	return out
}
