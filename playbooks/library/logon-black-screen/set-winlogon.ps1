# Has Winlogon start what it starts as Windows comes: one value, Shell or Userinit. What it was is in
# the answer. It counts from the next logon. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: set-winlogon.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include winlogon.ps1

$name = 'Shell'
$value = $DefaultShell
if ($Params.userinit) {
    $name = 'Userinit'
    $value = $DefaultUserinit
}
$before = Invoke-Probe 'read' { Get-MachineValue $WinlogonKey $name }
if ($null -ne $before) { $before = [string]$before }
$stored = $false
$null = Invoke-Probe 'store' {
    $root = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $key = $root.OpenSubKey($WinlogonKey, $true)
        try { $key.SetValue($name, $value, [Microsoft.Win32.RegistryValueKind]::String) } finally { $key.Close() }
    } finally {
        $root.Close()
    }
}
$now = Invoke-Probe 'read' { Get-MachineValue $WinlogonKey $name }
$stored = $now -eq $value

[PSCustomObject][ordered]@{
    before = $before
    stored = $stored
    probe_errors = $ProbeErrors.ToArray()
}
