# Gathers the evidence that this PC updates itself again: the health of its component store, its services,
# and whether a search for updates works, made as SYSTEM. Installs nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: verify.takes.json, verify.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include restart-safety.ps1
#include updates.ps1
#include update-components.ps1
#include system-task.ps1

# One line: code, result of the search (2 succeeded, 3 with errors).
$SearchUpdates = {
    param([string]$Key)
    $store = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $line = ''
    try {
        $session = New-Object -ComObject 'Microsoft.Update.Session'
        $found = $session.CreateUpdateSearcher().Search('IsInstalled=0 and IsHidden=0')
        $line = '0 ' + [int]$found.ResultCode
    } catch {
        $error0 = $_.Exception
        while ($null -ne $error0.InnerException) { $error0 = $error0.InnerException }
        $line = [string][long]$error0.HResult + ' 4'
    }
    $store.SetValue('Output', [string[]]@($line), [Microsoft.Win32.RegistryValueKind]::MultiString)
    $store.SetValue('Ended', 1)
}

$store = Invoke-Probe 'store' { Get-StoreHealth }
$services = Invoke-Probe 'services' { Get-UpdateServices }
$waits = $null
$pending = Invoke-Probe 'pending' { Get-PendingRestart }
if ($null -ne $pending) { $waits = $pending.servicing -or $pending.windows_update }

$search = [PSCustomObject][ordered]@{ code = $null; code_shown = $null; result = $null }
if ($Params.search -eq $true) {
    $answer = Invoke-Probe 'search' { Invoke-SystemTask 'fleetmend-update-search' $SearchUpdates @('search') 900000 }
    if ($null -ne $answer) {
        $words = ([string]@($answer.lines)[0]).Split(' ')
        $search.code = Get-PlainCode ([long]$words[0])
        $search.result = [int]$words[1]
    } else {
        $failed = @($ProbeErrors)[-1]
        $search.code = $failed.code
    }
    $search.code_shown = Format-Code $search.code
}

[PSCustomObject][ordered]@{
    store_health = $store
    services = $services
    restart_waits = $waits
    search = $search
    probe_errors = $ProbeErrors.ToArray()
}
