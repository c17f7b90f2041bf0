# fleetmend: repairs this PC from a USB stick, as fleetmend would have done over the network.
#
# Made by: fleetmend handoff. Run it as a local administrator, from the stick:
#
#   powershell.exe -NoProfile -ExecutionPolicy Bypass -File .\fleetmend-handoff.ps1
#
# It looks at the PC, asks before each repair, proves the repair, and leaves a file in the folder
# "results" beside itself. Bring the stick back: fleetmend handoff import FOLDER. It holds no
# password; where a repair needs a domain account it asks for one and keeps it nowhere.
#
# -Pc NAME    which PC of the run this is, where its own name does not tell
# -Yes        repair without asking
#
# Windows PowerShell 3.0 to 5.1. ASCII only: all other characters stand as \uXXXX in data.
param([string]$Pc, [switch]$Yes)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# What the controller knows: the playbook's conditions as trees, the PCs of the run, the sums of
# the scripts. Every line of data is indented by one blank, so that none can end it.
$Description = @'
#{description}
'@

# The scripts that run, each as it is shipped: a line "== NAME", then its text, indented by one blank.
$Scripts = @'
#{scripts}
'@

# The far end of the step channel: reads a script a line, runs it, answers.
$Bootstrap = @'
#{bootstrap}
'@

function Write-Say([string]$Text) { Write-Host $Text }

if ($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage') {
    Write-Say 'PowerShell runs in constrained language mode here (AppLocker or App Control): the stick cannot work. Follow the printed page.'
    exit 2
}
if ([IntPtr]::Size -lt 8 -and [Environment]::Is64BitOperatingSystem) {
    Write-Say 'This is the 32-bit PowerShell. Start the 64-bit one: C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe'
    exit 2
}
$identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
$principal = New-Object System.Security.Principal.WindowsPrincipal $identity
if (-not $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)) {
    Write-Say 'Not an administrator. Right-click PowerShell, choose "Run as administrator", log on as a LOCAL administrator of this PC, and start this script again.'
    exit 2
}

try {
    Add-Type -TypeDefinition @'
#{csharp}
'@
} catch {
    Write-Say 'The C# compiler of Windows could not be used here (AppLocker, virus scanner). Nothing was changed. Follow the printed page.'
    exit 2
}

# Takes the indentation away again.
function Get-Plain([string]$Text) {
    $lines = $Text.Replace("`r", '').Split("`n")
    return ((@($lines | ForEach-Object { $_.Substring([Math]::Min(1, $_.Length)) })) -join "`n")
}

$known = New-Object 'System.Collections.Generic.Dictionary[string,string]'
$name = $null
$body = New-Object System.Collections.ArrayList
foreach ($line in (@($Scripts.Replace("`r", '').Split("`n")) + '== ')) {
    if ($line.StartsWith('== ')) {
        if ($null -ne $name) { $known[$name] = (@($body) -join "`n") }
        $name = $line.Substring(3)
        $body.Clear()
    } else {
        [void]$body.Add($line.Substring([Math]::Min(1, $line.Length)))
    }
}

$language = 'en'
if ([System.Globalization.CultureInfo]::CurrentUICulture.TwoLetterISOLanguageName -ceq 'ja') { $language = 'ja' }
$stick = New-Object Fleetmend.Handoff.Stick (Get-Plain $Description), $known, $language
$bad = @($stick.Damaged())
if ($bad.Count -gt 0) {
    Write-Say ('The script on the stick is damaged: ' + ($bad -join ', ') + '. Nothing was changed. Copy it to the stick again.')
    exit 2
}
$given = $null
if ($Pc) { $given = $Pc }
if (-not $stick.Choose($given, $env:COMPUTERNAME)) {
    Write-Say ('This PC (' + $env:COMPUTERNAME + ') is not clearly one of those for which the stick was made. Nothing was changed. If it is one of these, name it with -Pc NAME:')
    foreach ($one in $stick.Pcs()) { Write-Say ('  ' + $one) }
    exit 2
}
Write-Say ('PC: ' + $stick.Name + ' (' + $env:COMPUTERNAME + ')')

$stick.Arguments = [Fleetmend.Handoff.Stick]::ChannelArguments('#{switches}', (Get-Plain $Bootstrap))
$stick.OnTell = [Fleetmend.Handoff.Tell] { param($Text) Write-Say $Text }
$stick.OnAsk = [Fleetmend.Handoff.Ask] {
    param($Question)
    Write-Say $Question
    if ($Yes) { return $true }
    return (Read-Host '[y/N]') -match '^\s*[yY]'
}
$stick.OnAskAccount = [Fleetmend.Handoff.AskAccount] {
    param($Question)
    Write-Say $Question
    if ((Read-Host '[y/N]') -notmatch '^\s*[yY]') { return $null }
    $entered = Get-Credential
    if ($null -eq $entered) { return $null }
    return $entered.GetNetworkCredential()
}

$result = $stick.Run($env:COMPUTERNAME, $identity.Name)

$folder = Join-Path $PSScriptRoot 'results'
$file = 'PC-' + ($env:COMPUTERNAME -replace '[^A-Za-z0-9-]', '_') + '-' + [datetime]::UtcNow.ToString('yyyyMMdd-HHmmss') + '.json'
$ascii = [System.Text.Encoding]::ASCII
foreach ($place in $folder, (Join-Path $env:PUBLIC 'fleetmend-results')) {
    try {
        [void][System.IO.Directory]::CreateDirectory($place)
        $path = Join-Path $place $file
        [System.IO.File]::WriteAllText($path, $result, $ascii)
        break
    } catch {
        # A write-protected stick: the result must not be lost.
        $path = $null
    }
}

Write-Say ''
Write-Say ('Result: ' + $stick.Outcome)
if ($stick.Reason) { Write-Say $stick.Reason }
if ($stick.Next) { Write-Say $stick.Next }
if ($path) {
    Write-Say ('Written to ' + $path)
} else {
    Write-Say 'The result could not be written. Copy what stands above to the printed page.'
}
if ($stick.Outcome -ceq 'healthy' -or $stick.Outcome.StartsWith('repaired(')) { exit 0 }
exit 1
