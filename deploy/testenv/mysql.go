package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// mysqldSetting names a mysqld of MySQL 8 or later, by its path, that takes the place of mariadbd. It has no PAIDUI_ in front,
// for the programs refuse settings that they do not know.
const mysqldSetting = "TEST_MYSQLD"

// databaseServer is the path of the server's program.
func databaseServer() (string, error) {
	path := os.Getenv(mysqldSetting)
	if path == "" {
		return lookPath("mariadbd", "mariadb-server")
	}
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("%s: %w", mysqldSetting, err)
	}
	return path, nil
}

// makeData fills a data folder, in which root has no password.
func makeData(server, folder string) error {
	args := serverArgs(folder)
	program := server
	if os.Getenv(mysqldSetting) != "" {
		// Of its own it lets root in from "localhost" only, which no address is without names.
		script := filepath.Join(folder, tempFolder, "init.sql")
		statements := "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
		if err := os.WriteFile(script, []byte(statements), 0o600); err != nil {
			return err
		}
		defer os.Remove(script)
		args = append(args, "--initialize-insecure", "--init-file="+script)
	} else {
		installer, err := lookPath("mariadb-install-db", "mariadb-server")
		if err != nil {
			return err
		}
		program = installer
		args = append(args, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}
