package text_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"capf/legacy"
	"capf/legacy/text"
)

// written is text as administrators of one country write it, with the page that their machines wrote it in. Found: what
// the reader takes it for by itself; empty where it must not.
var written = []struct {
	page  text.Encoding
	by    encoding.Encoding
	found text.Encoding
	lines []string
}{
	{text.UTF8, unicode.UTF8, text.UTF8, []string{"Karl-Heinz Groß", "Иванов", "会議室", "김철수"}},
	{text.Windows1252, charmap.Windows1252, text.Windows1252, []string{"Karl-Heinz Groß", "Müller", "René l’Hôtel", "José Núñez 1º", "Räikkönen", "Åse Bjørn", "Raúl – Büro €"}},
	{text.Windows1254, charmap.Windows1254, text.Windows1252, []string{"Şükrü Öztürk", "Müdür odası", "Çağrı merkezi"}},
	{text.Windows1257, charmap.Windows1257, text.Windows1252, []string{"Jānis Bērziņš", "Kęstutis", "Õpetaja tuba"}},
	{text.Windows1258, charmap.Windows1258, text.Windows1252, []string{"Tr\u00e2\u0300n H\u01b0ng", "Nguy\u00ea\u0303n V\u0103n"}},
	{text.Windows1250, charmap.Windows1250, "", []string{"Pawełek", "Żółkiewski", "Małgorzata", "Dvořák", "Zasadačka Ľ"}},
	{text.Windows1251, charmap.Windows1251, "", []string{"Иванов", "Переговорная", "Секретарь", "Ольга", "ЛЕНИН", "СКЛАД"}},
	{text.Windows1253, charmap.Windows1253, "", []string{"Παπαδόπουλος", "Αίθουσα", "Γραμματεία", "ΑΘΗΝΑ"}},
	{text.Windows1255, charmap.Windows1255, "", []string{"כהן", "חדר ישיבות", "מזכירות", "לוי"}},
	{text.Windows1256, charmap.Windows1256, "", []string{"محمد", "قاعة الاجتماعات", "الاستقبال", "أحمد"}},
	{text.Windows874, charmap.Windows874, "", []string{"สมชาย", "ห้องประชุม", "แผนกขาย", "เสมียน"}},
	{text.Windows932, japanese.ShiftJIS, text.Windows932, []string{"山田太郎", "会議室A", "サーバー室", "ロビー", "鈴木一郎 3階", "受付", "ﾔﾏﾀﾞ ﾀﾛｳ", "表示・機能"}},
	{text.Windows936, simplifiedchinese.GBK, text.Windows936, []string{"张伟", "王芳", "会议室", "李娜 三楼", "财务部", "技术支持", "仓库B", "朱镕基", "前台", "前台 2"}},
	{text.Windows949, korean.EUCKR, text.Windows949, []string{"김철수", "이영희", "회의실 A", "안내데스크", "박지성 3층", "영업부", "서울 데스크"}},
	{text.Windows950, traditionalchinese.Big5, text.Windows950, []string{"陳志明", "會議室", "櫃台", "林美玲 三樓", "業務部", "總機", "功能室"}},
}

func encoded(t *testing.T, by encoding.Encoding, lines []string) []byte {
	t.Helper()
	out, err := by.NewEncoder().String(strings.Join(lines, "\r\n") + "\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(out)
}

// records puts names where a phone file has them.
func records(names []string) (out []string) {
	for _, name := range names {
		out = append(out, "SEP000AB8001C40;install;"+name+";1024", `"`+name+`"`)
	}
	return append(out, "SEP000AB8001C41;delete;Lobby;1024")
}

func TestPagesNamed(t *testing.T) {
	for _, test := range written {
		lines := records(test.lines)
		var got []string
		for _, line := range read(t, encoded(t, test.by, lines), test.page) {
			got = append(got, line.Text)
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("%s: %s", test.page, diff)
		}
	}
}

// A page is found, or not, with many lines and with few.
func TestPagesFound(t *testing.T) {
	for _, test := range written {
		for _, lines := range [][]string{records(test.lines), test.lines, append(slices.Repeat([]string{"SEP;1024"}, 500), records(test.lines)...)} {
			found, err := text.Find(legacy.BytesInput("CAPF.phone", encoded(t, test.by, lines)))
			if found.Encoding != test.found {
				t.Errorf("%s is taken for %q: %v", test.page, found.Encoding, err)
			}
			if told := found.Note() != ""; err == nil && told != (test.page != text.UTF8) {
				t.Errorf("%s: note %q", test.page, found.Note())
			}
			var unclear *text.UnclearError
			if err != nil && (!errors.As(err, &unclear) || !slices.Contains(unclear.Fitting, test.page) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s: %v", test.page, err)
			}
		}
	}
}

// No line of one country alone is taken for text of another with two bytes a character.
func TestNoPageIsTakenForAnother(t *testing.T) {
	for _, test := range written {
		for _, line := range test.lines {
			found, err := text.Find(legacy.BytesInput("CAPF.phone", encoded(t, test.by, []string{line, "SEP000AB8001C40;" + line + ";x"})))
			double := slices.Contains([]text.Encoding{text.Windows932, text.Windows936, text.Windows949, text.Windows950}, found.Encoding)
			if err == nil && double && found.Encoding != test.page {
				t.Errorf("%q in %s is taken for %s", line, test.page, found.Encoding)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, test := range written {
		for _, line := range read(t, encoded(t, test.by, test.lines), test.page) {
			places := line.Places(test.page)
			if len(places) != len(line.Text)+1 || places[len(line.Text)] != len(strings.TrimRight(string(line.Raw), "\r\n")) {
				t.Fatalf("%s: %d places for %q", test.page, len(places), line.Text)
			}
			for i, r := range line.Text {
				size := len(string(r))
				one, err := test.by.NewDecoder().Bytes(line.Raw[places[i]:places[i+size]])
				if err != nil || string(one) != string(r) {
					t.Errorf("%s: %q at %d is %q", test.page, r, places[i], one)
				}
			}
		}
	}
	wide := read(t, wide("a\U0001F4DEb\r\n", 1), "")[0]
	if diff := cmp.Diff([]int{0, 2, 2, 2, 2, 6, 8}, wide.Places(text.UTF16BE)); diff != "" {
		t.Error(diff)
	}
	if broken := read(t, []byte("\x00a\n"), text.UTF8)[0]; broken.Places(text.UTF8) != nil {
		t.Error("places in a line without text")
	}
}

func TestParseEncoding(t *testing.T) {
	for name, want := range map[string]text.Encoding{
		"utf-8": text.UTF8, "UTF8": text.UTF8, "cp932": text.Windows932, "Shift_JIS": text.Windows932, "windows-1251": text.Windows1251,
		"CP1252": text.Windows1252, "utf-16LE": text.UTF16LE, "Big5": text.Windows950, "cp-949": text.Windows949, "latin-9": "", "": "", "cp": "",
	} {
		if got, ok := text.ParseEncoding(name); got != want || ok != (want != "") {
			t.Errorf("ParseEncoding(%q) = %q, %v", name, got, ok)
		}
	}
}

func TestDamagedCharacters(t *testing.T) {
	for _, test := range []struct {
		page    text.Encoding
		content string
		want    string
	}{
		{text.Windows1252, "\xe4\x81\n", "byte 2 has no meaning in CP1252"},
		{text.Windows932, "\x8e\x52\x8e\n", "byte 3 has no meaning in CP932"},
		{text.Windows949, "a\xc9\x41\n", "byte 2 has no meaning in CP949"},
		{text.Windows874, "\xdb\n", "byte 1 has no meaning in CP874"},
	} {
		if line := read(t, []byte(test.content), test.page)[0]; line.Problem != test.want || string(line.Raw) != test.content {
			t.Errorf("%s: %q, problem %q", test.page, line.Text, line.Problem)
		}
	}
}
