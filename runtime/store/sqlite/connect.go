package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"strconv"

	"github.com/mattn/go-sqlite3"
)

// access is what a connection may do.
type access int

const (
	inspecting access = iota // looks at a file that may be anybody's, and must not change its mode
	readOnly
	readWrite
)

// connector opens connections; database/sql's own way needs a driver that is registered for the whole
// process, and has no place for a hook.
type connector struct {
	driver  *sqlite3.SQLiteDriver
	dsn     string
	inPlace func() error // nil: not asked
}

// Connect opens nothing beside a file that is away: SQLite would make another WAL in its place.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	if c.inPlace != nil {
		if err := c.inPlace(); err != nil {
			return nil, err
		}
	}
	return c.driver.Open(c.dsn)
}

func (c connector) Driver() driver.Driver { return c.driver }

// connect gives a pool of so many connections, none of them open yet.
func connect(options Options, access access, most int) *sql.DB {
	pool := sql.OpenDB(connector{driver: &sqlite3.SQLiteDriver{ConnectHook: prepareConnection}, dsn: dsn(options, access), inPlace: options.inPlace})
	pool.SetMaxOpenConns(most)
	pool.SetMaxIdleConns(most)
	return pool
}

// prepareConnection sets what the DSN has no word for. Temporary tables hold authentication strings and
// must not reach a file.
func prepareConnection(connection *sqlite3.SQLiteConn) error {
	_, err := connection.Exec("PRAGMA temp_store = MEMORY", []driver.Value{})
	return err
}

// dsn never lets SQLite make the file: it has to be there, with the right mode. A string that is void is
// overwritten in its page, and so is a page that is given back whole (secure_delete; FAST would leave those as they
// are); the WAL keeps older pages until it begins anew.
func dsn(options Options, access access) string {
	values := url.Values{
		"mode":           {"rw"},
		"_mutex":         {"no"}, // database/sql never lets two goroutines into a connection
		"_busy_timeout":  {strconv.FormatInt(options.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys":  {"1"},
		"_synchronous":   {"FULL"},
		"_secure_delete": {"ON"},
		"_cache_size":    {"-8000"}, // KiB
		"_txlock":        {"immediate"},
	}
	if access != inspecting {
		values.Set("_journal_mode", "WAL")
	}
	if access < readWrite {
		values.Set("_query_only", "1")
		values.Set("_txlock", "deferred")
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: absolute(options.Path), RawQuery: values.Encode()}).String()
}
