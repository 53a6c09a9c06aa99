package main

import (
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// office is a machine of another country: a form, a code page, a way to write times.
type office struct {
	name   string
	form   string // of a built-in dialect
	by     encoding.Encoding
	layout string // of times; empty: that of the cluster
	people []string
	header string // names of the columns; empty: English ones
	words  map[string]string
}

// offices are in every built-in form, and in the pages that can be found. Moscow's page cannot be, and its words are
// its own: it is read by moscow.toml.
var offices = []office{
	{name: "osaka", form: "sections", by: japanese.ShiftJIS, layout: "2006/01/02 15:04:05", people: []string{"山田太郎", "会議室A", "サーバー室", "受付", "表示ソフト開発部", "ﾔﾏﾀﾞ ﾀﾛｳ"}},
	{name: "seoul", form: "headerless", by: korean.EUCKR, people: []string{"김철수", "이영희", "회의실 A", "안내데스크", "박지성 3층", "영업부"}},
	{name: "taipei", form: "delimited", by: traditionalchinese.Big5, people: []string{"陳志明", "會議室", "櫃台", "林美玲 三樓", "功能室", "總機"}},
	{name: "beijing", form: "blocks", by: simplifiedchinese.GBK, people: []string{"张伟", "王芳", "会议室", "李娜 三楼", "财务部", "前台"}},
	{name: "budapest", form: "delimited", by: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), layout: "02.01.2006 15:04", people: []string{"Szőke Gyűrű", "Tárgyaló", "Porta"}},
	{name: "london", form: "blocks", by: charmap.Windows1252, layout: "2/1/2006 15:04:05", people: []string{"Zoë’s desk", "Café – lobby", "Reception £"}},
	{name: "chicago", form: "headerless", by: charmap.Windows1252, layout: "1/2/2006 3:04:05 PM", people: []string{"Lobby", "Mail room", "José Núñez"}},
	{name: "moscow", form: "delimited", by: charmap.Windows1251, layout: "02.01.2006 15:04:05", people: []string{"Иванов", "Переговорная", "Секретарь"},
		header: "Телефон;Действие;Состояние;Время;Проверка;Код;Ключ;Описание",
		words: map[string]string{
			install: "Установить", nothing: "Нет", pending: "Ожидание", done: "Готово", failed: "Ошибка", idle: "Нет",
			byString: "Кодом", byNull: "Без кода", byLSC: "Сертификатом",
		}},
}

const moscowDialect = `# For the machine in Moscow: Russian names and words.
name = "moscow"
files = ["phones"]
form = "delimited"
encoding = "windows-1251"
separators = [";"]
quote = '"'
times = ["02.01.2006 15:04:05"]
time-zone = "Europe/Moscow"

[columns]
device = ["Телефон"]
operation = ["Действие"]
state = ["Состояние"]
status-time = ["Время"]
authentication-mode = ["Проверка"]
authentication-string = ["Код"]
key-size = ["Ключ"]
description = ["Описание"]

[operations]
none = ["Нет"]
install = ["Установить"]

[states]
none = ["Нет"]
pending = ["Ожидание"]
success = ["Готово"]
failed = ["Ошибка"]

[authentication-modes]
authentication-string = ["Кодом"]
null-string = ["Без кода"]
existing-certificate-lsc = ["Сертификатом"]
`

// officePhones are the phones of one office; the numbers of none are those of the cluster or of another.
const officePhones = 14

func abroad(files tree) error {
	for i, one := range offices {
		var text strings.Builder
		for n := range officePhones {
			number := 300 + i*officePhones + n
			description := one.people[n%len(one.people)]
			record := settledPhone(number, description)
			if n%3 == 0 {
				record = pendingPhone(number, install, description)
			}
			if n == 0 {
				text.WriteString(one.head())
			}
			text.WriteString(one.write(record))
		}
		content, err := one.by.NewEncoder().String(text.String())
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		files["abroad/"+one.name+"/CAPF.phone"] = []byte(content)
	}
	files["abroad/moscow.toml"] = []byte(moscowDialect)
	return nil
}

var officeKeys = strings.Split("Device Name;Operation;Status;Status Time;Authentication Mode;Authentication String;Key Size;Description", ";")

func (o office) head() string {
	switch {
	case o.form != "delimited":
		return ""
	case o.header != "":
		return o.header + "\r\n"
	default:
		return strings.Join(officeKeys, ";") + "\r\n"
	}
}

// write puts a record into the form.
func (o office) write(from phone) string {
	at := ""
	if !from.at.IsZero() {
		layout := o.layout
		if layout == "" {
			layout = "2006-01-02 15:04:05"
		}
		at = from.at.Format(layout)
	}
	values := []string{from.device, from.operation, from.state, at, from.mode, from.text, from.size, from.description}
	for i, value := range values {
		if word := o.words[value]; word != "" {
			values[i] = word
		}
	}
	if o.form == "delimited" || o.form == "headerless" {
		return strings.Join(values, ";") + "\r\n"
	}
	var out strings.Builder
	for i, key := range officeKeys {
		switch {
		case i == 0 && o.form == "sections":
			fmt.Fprintf(&out, "[%s]\r\n", values[0])
		case values[i] != "":
			fmt.Fprintf(&out, "%s = %s\r\n", key, values[i])
		}
	}
	return out.String() + "\r\n"
}
