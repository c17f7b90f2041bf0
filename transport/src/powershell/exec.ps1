# Runs PowerShell text that an operator typed: the text comes as base64 of UTF-8 on standard
# input, so nothing of it stands on a command line. Output and errors go where powershell.exe
# sends them; the exit code is that of the last program, or 1 if the text ended with an error.
if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') { exit 1179451393 }
$ProgressPreference = 'SilentlyContinue'
# Without a console (sshd) this fails, and the bytes stay in the code page of the system.
try { [Console]::OutputEncoding = New-Object Text.UTF8Encoding $false } catch { }
$text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String([Console]::In.ReadToEnd()))
& ([scriptblock]::Create($text))
exit [int]$LASTEXITCODE
