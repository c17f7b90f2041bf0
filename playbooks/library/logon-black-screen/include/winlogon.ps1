# What Winlogon starts after a logon, as Windows comes: Shell is explorer.exe, Userinit the full path
# of userinit.exe with a comma behind it.
$WinlogonKey = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
$DebuggerKey = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options'
$DefaultShell = 'explorer.exe'
$DefaultUserinit = [System.IO.Path]::Combine($env:SystemRoot, 'system32', 'userinit.exe') + ','

# Returns a value of the 64-bit registry; null where it is not.
function Get-MachineValue([string]$Path, [string]$Name) {
    $root = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $key = $root.OpenSubKey($Path)
        if ($null -eq $key) { return $null }
        try { return $key.GetValue($Name) } finally { $key.Close() }
    } finally {
        $root.Close()
    }
}
